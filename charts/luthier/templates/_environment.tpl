{{/* Variables of a service as a container has them: (list $ "gateway"). docs/reference/configuration.md */}}
{{- define "luthier.environment" -}}
{{- $root := index . 0 -}}
{{- $part := index . 1 -}}
{{- $values := $root.Values -}}
- { name: LUTHIER_LOG_LEVEL, value: {{ $values.logLevel | quote }} }
{{- with $values.traces.url }}
- { name: LUTHIER_OTLP_URL, value: {{ . | quote }} }
- { name: LUTHIER_TRACE_SHARE, value: {{ $values.traces.share | quote }} }
{{- end }}
- { name: LUTHIER_HTTP_HOST, value: '0.0.0.0' }
- { name: LUTHIER_HTTP_PORT, value: '8080' }
- { name: LUTHIER_METRICS_PORT, value: '9090' }
- { name: LUTHIER_NATS_URL, value: {{ include "luthier.natsUrl" $root | quote }} }
- { name: LUTHIER_NATS_USER, value: {{ $part }} }
- name: LUTHIER_NATS_PASSWORD
  valueFrom: { secretKeyRef: { name: {{ include "luthier.natsSecret" $root }}, key: {{ $part }} } }
{{- if has $part (include "luthier.withTables" $root | fromYamlArray) }}
{{ include "luthier.databaseEnvironment" $root }}
{{- end }}
{{- if ne $part "evaluation" }}
{{ include "luthier.artifactsEnvironment" $root }}
{{- end }}
{{- if not (has $part (list "training" "evaluation")) }}
- { name: LUTHIER_WORK_DIR, value: /luthier/work }
{{- end }}
{{- if has $part (list "gateway" "trainer") }}
# Until no Service leads here any more.
- { name: LUTHIER_DRAIN_MS, value: '5000' }
{{- end }}
{{- if eq $part "gateway" }}
- { name: LUTHIER_GATEWAY_WEB_URL, value: {{ printf "http://%s:3000" (include "luthier.name" (list $root "web")) | quote }} }
- { name: LUTHIER_GATEWAY_MAX_FILE_BYTES, value: {{ $values.gateway.maxFileBytes | int64 | quote }} }
- { name: LUTHIER_GATEWAY_SESSION_SECONDS, value: {{ $values.gateway.sessionSeconds | int64 | quote }} }
- { name: LUTHIER_GATEWAY_SECURE_COOKIE, value: {{ include "luthier.isPrivate" $root | quote }} }
- { name: LUTHIER_GATEWAY_TRUST_PROXY, value: {{ or $values.ingress.enabled $values.httpRoute.enabled | quote }} }
{{- end }}
{{- if eq $part "training" }}
- { name: LUTHIER_TRAINING_RUN_DEADLINE_SECONDS, value: {{ $values.runs.deadlineSeconds | int64 | quote }} }
{{- end }}
{{- if eq $part "inference" }}
- { name: LUTHIER_INFERENCE_MODEL_CACHE_MIB, value: {{ $values.inference.modelCacheMib | int64 | quote }} }
- { name: LUTHIER_INFERENCE_GGUF_CACHE_MIB, value: {{ $values.inference.convertedCacheMib | int64 | quote }} }
{{- end }}
{{- if eq $part "registry" }}
- { name: LUTHIER_REGISTRY_MODEL_BYTES_MAX, value: {{ $values.registry.maxModelBytes | int64 | quote }} }
- { name: LUTHIER_REGISTRY_PARITY_MEMORY_MIB, value: {{ $values.registry.parity.memoryMib | int64 | quote }} }
- { name: LUTHIER_REGISTRY_PARITY_TIMEOUT_S, value: {{ $values.registry.parity.timeoutSeconds | int64 | quote }} }
{{- with $values.registry.hubUrl }}
- { name: LUTHIER_HUB_URL, value: {{ . | quote }} }
{{- end }}
{{- if $values.registry.models.existingClaim }}
- { name: LUTHIER_MODEL_DIR, value: /luthier/models }
{{- end }}
{{- end }}
{{- if eq $part "trainer" }}
- { name: LUTHIER_TRAINER_EXECUTOR, value: kubernetes }
- { name: LUTHIER_TRAINER_ENDPOINT_HOST, value: '0.0.0.0' }
- { name: LUTHIER_TRAINER_ENDPOINT_PORT, value: '8090' }
- { name: LUTHIER_TRAINER_ENDPOINT_URL, value: {{ printf "http://%s.%s:8090" (include "luthier.name" (list $root "trainer")) $root.Release.Namespace | quote }} }
- { name: LUTHIER_TRAINER_TOKEN_SECRET_FILE, value: /luthier/secrets/run-tokens }
- name: LUTHIER_TRAINER_CLUSTER
  valueFrom: { configMapKeyRef: { name: {{ include "luthier.name" (list $root "profiles") }}, key: cluster.json } }
{{- end }}
{{- end -}}

{{- define "luthier.natsUrl" -}}
{{- if .Values.nats.bundled -}}
{{- printf "nats://%s:4222" (include "luthier.name" (list . "nats")) -}}
{{- else -}}
{{- required "nats.url: where your NATS is, as nats.bundled is false" .Values.nats.url -}}
{{- end -}}
{{- end -}}

{{- define "luthier.natsSecret" -}}
{{- if not (or .Values.nats.bundled .Values.nats.existingSecret) -}}
{{- fail "nats.existingSecret: passwords of the services at your NATS, as nats.bundled is false" -}}
{{- end -}}
{{- .Values.nats.existingSecret | default (include "luthier.name" (list . "nats-users")) -}}
{{- end -}}

{{- define "luthier.databaseEnvironment" -}}
{{- if .Values.database.existingSecret -}}
- name: LUTHIER_DATABASE_URL
  valueFrom: { secretKeyRef: { name: {{ .Values.database.existingSecret | quote }}, key: url } }
{{- else if .Values.database.bundled -}}
- name: POSTGRES_PASSWORD
  valueFrom: { secretKeyRef: { name: {{ include "luthier.name" (list . "postgres") }}, key: password } }
- { name: LUTHIER_DATABASE_URL, value: {{ printf "postgres://luthier:$(POSTGRES_PASSWORD)@%s:5432/luthier" (include "luthier.name" (list . "postgres")) | quote }} }
{{- else -}}
{{- fail "database.existingSecret: the URL of your Postgres, as database.bundled is false" -}}
{{- end -}}
{{- end -}}

{{- define "luthier.artifactsEnvironment" -}}
- { name: LUTHIER_ARTIFACTS, value: {{ .Values.artifacts.url | default "file:///luthier/artifacts" | quote }} }
{{- if and .Values.artifacts.url .Values.artifacts.existingSecret }}
{{- range list "AWS_ACCESS_KEY_ID" "AWS_SECRET_ACCESS_KEY" }}
- name: {{ . }}
  valueFrom: { secretKeyRef: { name: {{ $.Values.artifacts.existingSecret | quote }}, key: {{ . }} } }
{{- end }}
{{- end }}
{{- end -}}

{{/* Whether browsers come over HTTPS. */}}
{{- define "luthier.isPrivate" -}}
{{- or (and .Values.ingress.enabled (not (empty .Values.ingress.tlsSecret))) (and .Values.httpRoute.enabled .Values.httpRoute.tls) -}}
{{- end -}}
