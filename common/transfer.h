/*
 * transfer: `tradecloud-spool retry` and `reject`, by which an operator decides about entries.
 *
 * An entry is renamed, so it is in one state at any moment (move.h). What is remembered of the
 * attempts at it (attempt.h) is removed before it goes to new/, so that no runner ever finds an
 * entry there that has used its attempts up, and after it has gone to rejected/, so that it is not
 * lost if that fails. Killed in between, retry leaves entries in failed/ that are only less well
 * known, and reject a file in attempts/ whose entry is gone, which `check` removes.
 */
#ifndef COMMON_TRANSFER_H
#define COMMON_TRANSFER_H

/* Run the commands with their arguments, their name first. They return the exit status. */
int transfer_retry_command(int argc, char **argv);
int transfer_reject_command(int argc, char **argv);

#endif
