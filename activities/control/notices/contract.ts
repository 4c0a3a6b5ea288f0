import { type Notice, type NotifyReceiver } from '../../../plan/notices';

/** Activities that tell people; on a queue of their own, where a receiver that is slow holds up nothing else. */
export interface NoticeActivities {
  /**
   * Delivers a notice to one receiver. Tried again until it has it, so one that loses its answer may get it twice, with the
   * same id.
   * @returns the receiver's answer, for people
   * @throws ApplicationFailure NotDelivered; ReceiverGone, non-retryable, where it answers that it will never take any
   */
  deliverNotice(input: { notice: Notice; receiver: NotifyReceiver }): Promise<{ answer: string }>;

  /** Tries once, for somebody who waits for it: what is wrong is an answer, too. */
  tryReceiver(input: {
    notice: Notice;
    receiver: NotifyReceiver;
  }): Promise<{ delivered: boolean; answer: string }>;
}
