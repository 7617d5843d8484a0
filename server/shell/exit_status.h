/* What the server's exit status says of why it did not start, or did not go on: goallocd(8) has the
 * list. Where goallocctl(1) has a status of the same meaning it is the same number. */
#ifndef GA_SERVER_SHELL_EXIT_STATUS_H
#define GA_SERVER_SHELL_EXIT_STATUS_H

enum ga_exit_status {
    GA_EXIT_ENDED = 0,
    GA_EXIT_FAILED = 1,
    GA_EXIT_USAGE = 2,
    GA_EXIT_NAME_TAKEN = 3,
    GA_EXIT_NOT_THERE = 5,
    GA_EXIT_NO_RIGHT = 6,
    GA_EXIT_NOT_KNOWN = 7,
    GA_EXIT_SOCKET_TAKEN = 9,
    GA_EXIT_NO_MEMORY = 10,
    GA_EXIT_ADDRESS_TAKEN = 11,
};

/* The exit status for err, 0 or a negative errno. */
enum ga_exit_status ga_exit_status_of(int err);

#endif
