import { ServiceMetrics } from '@luthier/service-kit';
import { Injectable } from '@nestjs/common';
import { Counter, Gauge } from 'prom-client';
import { Turns } from './engine/turns.js';

/** What answering costs. */
@Injectable()
export class AnswerMetrics {
  private readonly tokens: Counter;
  private readonly seconds: Counter;

  constructor(metrics: ServiceMetrics, turns: Turns) {
    const registers = [metrics.registry];
    this.tokens = new Counter({
      name: 'luthier_inference_generated_tokens_total',
      help: 'Tokens generated for answers.',
      registers,
    });
    new Gauge({
      name: 'luthier_inference_requests_in_queue',
      help: 'Requests for answers that run or wait.',
      registers,
      collect() {
        this.set(turns.length);
      },
    });
    this.seconds = new Counter({
      name: 'luthier_inference_generation_seconds_total',
      help: 'Time spent generating them.',
      registers,
    });
  }

  generated(tokens: number, seconds: number): void {
    this.tokens.inc(tokens);
    this.seconds.inc(seconds);
  }
}
