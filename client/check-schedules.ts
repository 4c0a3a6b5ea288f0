import { type Client } from '@temporalio/client';
import { checkScheduleId } from '../workflows/run/ids';
import { planSchedules, type PlanSchedules } from './schedules';

/** Seconds between two checks of a plan where nobody says otherwise. */
export const CHECK_FREQUENCY_SECONDS = 1800;

/** The Temporal Schedules that check plans. */
export const checkSchedules = (temporal: Client): PlanSchedules =>
  planSchedules(temporal, 'check', checkScheduleId);
