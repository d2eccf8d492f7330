"""
Runs the runtime's main.py in forks of a process that has imported PyTorch already: what takes seconds is done once.

    warm_runtime.py serve <socket> <main.py>           says "ready", serves until its standard input ends
    warm_runtime.py run <socket> <main.py> ARGUMENTS   as main.py: same descriptors, signals and end
"""

import importlib
import json
import os
import signal
import socket
import sys
from pathlib import Path

MESSAGE_BYTES = 65_536
IMPORTED = ("runtime_torch.runs.rehearse", "runtime_torch.runs.score", "transformers.models.llama.modeling_llama")
RELAYED = (signal.SIGTERM, signal.SIGINT)


def serve(path: str, main: str) -> None:
    os.environ["HF_HUB_OFFLINE"] = "1"
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(Path(main).parent))
    for name in IMPORTED:
        importlib.import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    server.listen()
    print("ready", flush=True)
    accepting = os.fork()
    if accepting == 0:
        while True:
            connection, _ = server.accept()
            if os.fork() == 0:
                attend(connection, main)
            connection.close()
    sys.stdin.read()
    os.kill(accepting, signal.SIGKILL)


def attend(connection: socket.socket, main: str) -> None:
    """Forks the run, tells its pid, waits, tells how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    message, descriptors, _, _ = socket.recv_fds(connection, MESSAGE_BYTES, 3)
    child = os.fork()
    if child == 0:
        connection.close()
        for number, descriptor in enumerate(descriptors):
            os.dup2(descriptor, number)
            os.close(descriptor)
        sys.argv = [main, *json.loads(message)]
        exec(compile(Path(main).read_text(), main, "exec"), {"__name__": "__main__", "__file__": main})
        os._exit(0)
    for descriptor in descriptors:
        os.close(descriptor)
    connection.sendall(f"{child}\n".encode())
    _, status = os.waitpid(child, 0)
    connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def run(path: str, arguments: list[str]) -> None:
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(path)
    socket.send_fds(connection, [json.dumps(arguments).encode()], [0, 1, 2])
    answers = connection.makefile()
    child = int(answers.readline())
    for number in RELAYED:
        signal.signal(number, lambda received, _: os.kill(child, received))
    status = int(answers.readline())
    if status < 0:
        signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    os._exit(status)


match sys.argv[1:]:
    case ["serve", path, main]:
        serve(path, main)
    case ["run", path, _, *arguments]:
        run(path, arguments)
    case _:
        sys.exit(__doc__)
