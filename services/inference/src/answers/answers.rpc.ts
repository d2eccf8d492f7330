import { generateAnswers } from '@luthier/contracts';
import type { ResponseOf } from '@luthier/contracts';
import { OnRequest } from '@luthier/messaging';
import { Controller } from '@nestjs/common';
import { AnswersService } from './answers.service.js';
import type { AnswersRequest } from './answers.service.js';

@Controller()
export class AnswersRpc {
  constructor(private readonly answers: AnswersService) {}

  @OnRequest(generateAnswers)
  generateAnswers(request: AnswersRequest): Promise<ResponseOf<typeof generateAnswers>> {
    return this.answers.generate(request);
  }
}
