/* SPDX-License-Identifier: MIT */
/*
 * Prints the configuration file that is installed: every key with its help
 * and its default, commented out. Made from the table that the daemon reads
 * with, so the file cannot say anything else than the daemon does.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/config.h"

static const char head[] =
    "# asupersyncd.yaml - see asupersyncd.yaml(5).\n"
    "#\n"
    "# Every key is shown with its default. To change one, take the first # away\n"
    "# from its line and from that of the section above it; `asupersyncctl reload`\n"
    "# or `systemctl reload asupersyncd` then makes the daemon read this again. A\n"
    "# file with a mistake in it is refused as a whole, with line and column.\n\n";

int
main(void)
{
    struct config config;
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    char *rest;
    char *line;

    if (out == NULL)
        return 1;
    config_init(&config);
    config_print(&config, out);
    if (fclose(out) != 0)
        return 1;
    fputs(head, stdout);
    rest = text;
    while ((line = strsep(&rest, "\n")) != NULL && rest != NULL)
        printf(strchr(line, '#') == NULL ? "#%s\n" : "%s\n", line);
    free(text);
    return fflush(stdout) == 0 ? 0 : 1;
}
