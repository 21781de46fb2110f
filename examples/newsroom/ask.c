/* SPDX-License-Identifier: MIT */
/* ask SOCKET TARGET - one question to the desk: `ask desk.sock /top`. */
#include "room.h"

#include <stdio.h>

int
main(int argc, char **argv)
{
    char text[65536];
    int status;

    if (argc != 3) {
        fprintf(stderr, "usage: ask SOCKET TARGET\n");
        return 64;
    }
    status = room_ask(argv[1], "GET", argv[2], "", 0, text, sizeof text);
    if (status < 0) {
        fprintf(stderr, "ask: no answer from %s\n", argv[1]);
        return 1;
    }
    fputs(text, stdout);
    return status == 200 ? 0 : 1;
}
