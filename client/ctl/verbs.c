/* SPDX-License-Identifier: MIT */
#include "verbs.h"

#include <string.h>

#include "text.h"

const struct option_row option_rows[OPTION_COUNT] = {
#define OPTION_ROW(NAME, name, letter, metavar, kind, verbs, help)                                 \
    [OPTION_##NAME] = {name, letter, metavar, kind, verbs, help},
    OPTION_LIST(OPTION_ROW)
#undef OPTION_ROW
};

const struct verb verbs[VERB_COUNT] = {
#define VERB_ROW(NAME, name, operands, synopsis)                                                   \
    [VERB_##NAME] = {VERB_##NAME, name, operands, synopsis},
    VERB_LIST(VERB_ROW)
#undef VERB_ROW
};

const struct verb_text verb_texts[VERB_COUNT] = {
    [VERB_RUN] = {"run a command in a region of its own, as if it ran here",
                  "The command gets this standard input, output and error (a terminal by way of\n"
                  "a pty), this directory and this environment. The region closes when the\n"
                  "command and everything it started are gone; then this command exits like it:\n"
                  "its own code, 128+SIGNAL, 124 out of time or budget, 130 cancelled by a user,\n"
                  "143 cancelled otherwise, 125 no daemon or refused, 126/127 not executable or\n"
                  "not found. Ctrl-C cancels the region, a second one kills it; a program that\n"
                  "reads single keys or does its own job control gets Ctrl-C itself. Ctrl-Z\n"
                  "stops both. If this command is killed, the region is cancelled.\n"
                  "With --json the result goes to standard error, as its last line.\n",
                  "run --timeout 10m -- make -j8\n"
                  "run --memory-max 2G --finalizer ./unlock -- ./import data.csv\n"},
    [VERB_SUBMIT] = {"start a command in a region and print its id",
                     "The command runs in the background with its output in a log (see logs), in\n"
                     "this directory, with a clean environment (PATH, HOME, USER, LOGNAME, SHELL\n"
                     "and what --env adds). It needs a region: / itself runs no tasks.\n",
                     "submit --in /web --label api -- ./api --port 8080\n"
                     "submit --in /web --wait --timeout 30s -- ./check\n"},
    [VERB_OPEN] = {"open a region and print its id",
                   "The region stays until it is closed. Its policy says which outcomes count:\n"
                   "collect (all), fail-fast (the first failure cancels the rest), race (the\n"
                   "first end wins), first-ok, quorum:K, last.\n",
                   "open --name web --policy fail-fast\n"
                   "open --name job --timeout 1h --finalizer ./clean-up\n"},
    [VERB_DEFER] = {"register a finalizer: a command that runs when the region closes",
                    "Finalizers run last-in first-out after everything else in the region has\n"
                    "ended, each with --timeout to itself (default 10s).\n",
                    "defer /web -- ./deregister\n"},
    [VERB_WAIT] = {"wait until tasks or regions have ended; exit by the outcome",
                   "With several ids the worst outcome decides. Outcomes are remembered after\n"
                   "the end, so the end cannot be missed.\n",
                   "wait t12\n"
                   "wait --until ready --timeout 5s t12\n"},
    [VERB_CLOSE] = {"end regions: cancel what runs, run finalizers, wait until closed",
                    "Shows what is still draining and the time it has left. Exits 0 only when\n"
                    "nothing of the region is left. Closing / ends the daemon, as shutdown does.\n",
                    "close /web\n"
                    "close --finish /batch\n"},
    [VERB_CANCEL] = {"cancel tasks or regions",
                     "Returns when the cancel is under way; --wait waits for the end. --drain 0s\n"
                     "kills at once.\n",
                     "cancel t12\n"
                     "cancel --drain 0s --message 'wrong input' /import\n"},
    [VERB_CHANNELS] = {"list channels", "", "channels\nchannels /web\n"},
    [VERB_CHANNEL] =
        {"open, seal or show channels",
         "A channel is named by its id (c4) or by the path of its region and its name\n"
         "(/web/orders). seal ends its intake: what it holds can still be received,\n"
         "then receivers are told that it has ended. A channel closes with its\n"
         "region; what was not consumed is kept among the dead letters.\n",
         "channel open --capacity 100 --ack-timeout 1m /web/orders\n"
         "channel stat /web/orders\n"
         "channel seal /web/orders\n"},
    [VERB_SEND] = {"send a message to a channel",
                   "The message is the text, or --input, or else standard input. Waits while the\n"
                   "channel is full, but with --key it is refused then. Prints the id of the\n"
                   "message.\n",
                   "send /web/orders 'order 17'\n"
                   "send --input order.json --timeout 5s /web/orders\n"
                   "send --lines --input orders.txt /web/orders\n"},
    [VERB_RECEIVE] =
        {"receive messages from a channel",
         "Without a command the message is written out, then acked. With one, it is the\n"
         "command's standard input, and the command's end decides: exit 0 acks it, any\n"
         "other end gives it back to its place with a note. While the command runs its\n"
         "time is extended; it finds $ASUPERSYNC_MESSAGE, $ASUPERSYNC_CHANNEL,\n"
         "$ASUPERSYNC_ACK and $ASUPERSYNC_DELIVERIES. If this command is killed, so is\n"
         "that one, and the message goes back when its session ends; what it has started\n"
         "ends with it for sure only in a task (submit ... -- asupersyncctl receive ...).\n"
         "Exits like the command; 1 when the channel has ended, 75 when --timeout ran\n"
         "out. As with env(1), 125 says that this command failed: one of your own had\n"
         "better not exit with it.\n"
         "--no-ack prints the id of the ack on the first line and leaves it open: to the\n"
         "task this runs in, else to the session in $ASUPERSYNC_SESSION (see session).\n",
         "receive /web/orders\n"
         "receive --count 0 /web/orders -- ./handle-order\n"
         "receive --timeout 0s --no-ack --json /web/orders\n"},
    [VERB_ACK] = {"commit acks: their messages are consumed",
                  "For what receive --no-ack left open. An ack whose time ran out is refused as\n"
                  "expired: its message went back and may be received again.\n",
                  "ack o9\n"
                  "ack --extend 5m o9\n"},
    [VERB_NACK] = {"give messages back to their place",
                   "The next receiver gets it; past the cap of its channel it becomes a dead\n"
                   "letter.\n",
                   "nack --note 'no such customer' o9\n"},
    [VERB_DEAD] = {"show dead letters, send them again or forget them",
                   "list shows them, oldest first; show one with its history and data; retry puts\n"
                   "them back, at the end of the channel they came from or of --to; discard\n"
                   "forgets them. --all takes all that --in and --channel select.\n",
                   "dead list --channel /web/orders\n"
                   "dead show m21\n"
                   "dead retry --to /web/orders m21 m22\n"
                   "dead discard --all --in /web\n"},
    [VERB_SESSION] =
        {"begin a session for several commands, print its secret",
         "Commands that find it in $ASUPERSYNC_SESSION act in that session: what one\n"
         "holds, such as an ack that receive --no-ack left open, another may settle.\n"
         "It ends when no command was run with it for its time to live (30s, or --ttl).\n"
         "Say export ASUPERSYNC_SESSION=$(asupersyncctl session), or with a --ttl.\n"
         "A task needs none: what its commands hold is the task's.\n",
         "session --ttl 10m\n"},
    [VERB_CALL] =
        {"have a worker do a computation, and print its result",
         "The call waits until a worker that offers NAME in its region or above takes it.\n"
         "Without --input the worker gets nothing to read. The result goes to\n"
         "standard output; the exit code is the worker's, or that of the outcome as\n"
         "for run. Without --in it belongs to a region of its own that ends with this\n"
         "command. Ctrl-C cancels it.\n",
         "call resize --input photo.png --timeout 30s > small.png\n"
         "call charge --in /orders --retry 5 --input order.json\n"},
    [VERB_WORKERS] = {"list workers: state, calls that run of how many, what they did",
                      "With NAME only those that offer it.\n", "workers\nworkers resize --json\n"},
    [VERB_WORKER] =
        {"do calls with a command, or drain a worker",
         "run: each call of NAME, in --in REGION and below (default /), runs CMD with\n"
         "the input as standard input; its standard output is the result, its exit code\n"
         "that of the call, and what kills it makes the call panicked. A cancel sends\n"
         "SIGTERM to its process group. CMD finds ASUPERSYNC_CALL, ASUPERSYNC_ATTEMPT,\n"
         "the call's ASUPERSYNC_REGION and ASUPERSYNC_IDEMPOTENCY_KEY in its\n"
         "environment. SIGTERM or Ctrl-C: nothing new, what runs is finished; a second one\n"
         "cancels that. Outside a task it runs as one, in a region of its own which ends\n"
         "with this command's session, however that ends, and with the daemon; with\n"
         "--no-cx it runs here, and what it started may outlive it. Of a task of your own\n"
         "(submit ... -- asupersyncctl worker run ...) the commands are gone before their\n"
         "calls are run again.\n"
         "drain: the worker (see workers) gets nothing new and ends when it is done.\n",
         "worker run resize --concurrency 4 -- convert - -resize 50% -\n"
         "worker drain s3\n"},
    [VERB_SAGA] =
        {"run steps that are undone in reverse when one fails",
         "Each step has a compensation, recorded before its action starts. When a step\n"
         "fails, on Ctrl-C, on abort, and when the region closes before the saga is\n"
         "completed, every step begun, the failing one included, is undone, the last one\n"
         "first, one at a time; nothing can cancel that. A compensation must tolerate an\n"
         "action that did nothing. One that keeps failing needs attention: saga list and\n"
         "status name it, why explains it, and saga resolve says how to go on.\n"
         "Words: run FILE, list [REGION], show SAGA..., wait SAGA, and for operators\n"
         "resolve SAGA --retry|--resolved; by hand: begin [REGION], step SAGA NAME --undo\n"
         "CMD [-- CMD [ARG...]], complete SAGA, abort SAGA.\n"
         "run FILE runs the steps of a YAML file in a region of their own, or in --in\n"
         "REGION, and exits 0, by the action that failed, 130 after Ctrl-C, or 70 when it\n"
         "needs attention. Actions and compensations find ASUPERSYNC_SAGA and\n"
         "ASUPERSYNC_STEP in their environment; each attempt of one compensation has the\n"
         "same ASUPERSYNC_IDEMPOTENCY_KEY.\n",
         "saga run order.yaml\n"
         "saga begin /web\n"
         "saga step g2 charge --undo './refund 17' --wait -- ./charge 17\n"
         "saga complete g2\n"
         "saga resolve g2 --retry\n"},
    [VERB_CX] = {"make, revoke and list capabilities",
                 "A task has a capability for its own region ($ASUPERSYNC_CX), which every verb\n"
                 "shows by itself. derive makes one that may less, and prints its token: what\n"
                 "--cx takes, or a program finds as ASUPERSYNC_CX. It may only what its rights\n"
                 "say, in its region and below, within its ceilings, and dies with the region.\n"
                 "The token is a secret: give it by an environment, a file or a pipe. revoke\n"
                 "takes back a capability and all that were derived from it; list shows those\n"
                 "of a region and below. Rights: spawn, cancel, close, observe, time, random,\n"
                 "trace, channel, lease, io, saga, serve, delegate, admin.\n",
                 "cx derive --in /web --rights observe,cancel --timeout 1h\n"
                 "cx list /web\n"
                 "cx revoke x5\n"},
    [VERB_TREE] = {"show regions and their tasks as a tree", "", "tree\ntree --all /web\n"},
    [VERB_PS] = {"list tasks", "", "ps\nps --all /web\n"},
    [VERB_SHOW] = {"show everything about something, by its id",
                   "Of a region (also by path), task, channel, saga, obligation, capability or\n"
                   "message all that is known; of a session what why says of it.\n",
                   "show t12\nshow /web\nshow c4 g2\n"},
    [VERB_WHY] = {"explain what a task or region waits for",
                  "Prints the chain of what blocks, down to processes, with ages and the time\n"
                  "left, and each named trouble (see asupersync-troubleshooting(7)).\n",
                  "why /web\n"},
    [VERB_LOGS] = {"print the output of tasks, or of all tasks of a region",
                   "With more than one task each line starts with its id. To a terminal only\n"
                   "text and colours are let through unless --raw is given.\n",
                   "logs t12\nlogs -f /web\n"},
    [VERB_OBLIGATIONS] =
        {"list what is owed to regions, and by whom",
         "An obligation is a lease, a permit to send, a message to be acknowledged, or an\n"
         "effect outside the daemon (io-op). A region closes when nothing is owed to it.\n",
         "obligations\nobligations --kind lease /web\nobligations --holder t12\n"},
    [VERB_OBLIGATION] =
        {"register an effect outside the daemon, and tell how it ended",
         "For scripts that the daemon runs: what they reserve, their task holds; elsewhere\n"
         "the session in $ASUPERSYNC_SESSION does (see session). The region (--in, else\n"
         "that of the task) waits for the end of it; a task that ends without leaks it,\n"
         "which counts in the region's outcome. reserve prints an id; commit ID... says\n"
         "that it was done, abort ID... that it was not, transfer ID HOLDER gives it to\n"
         "another task or session.\n",
         "obligation reserve --label upload --timeout 10m\n"
         "obligation commit o9\n"
         "obligation transfer o9 t12\n"},
    [VERB_LEASES] = {"list which names are held, by whom and for how long", "",
                     "leases\nleases /web --json\n"},
    [VERB_LEASE] =
        {"hold a name while a command runs, or for a time",
         "run NAME -- CMD waits for the lease and runs the command as a task of the region\n"
         "(--in, else $ASUPERSYNC_REGION; not /) with this standard input and output. The\n"
         "task holds the lease, renews it while it lives, and lets it go at its end. The\n"
         "command finds the fencing token in $ASUPERSYNC_LEASE_TOKEN: larger than that of\n"
         "any holder before, so that what the lease protects can refuse who is late. When\n"
         "the lease is lost the command is cancelled, and nobody else gets the name before\n"
         "all of it is gone. Within a task the command is a child of this one, and the\n"
         "task holds the lease. Exits like the command; 75 another holds it, 74 it was\n"
         "lost. When lease run itself is killed, the end of its session cancels the task.\n"
         "Within a task, or in $ASUPERSYNC_SESSION (see session), acquire NAME holds\n"
         "a name for the task or session and prints ID and token; renew ID... and\n"
         "release ID... take the ID. $ASUPERSYNC_LEASE is the ID under lease run.\n",
         "lease run --in /web leader -- ./serve\n"
         "lease run --in /web --nonblock nightly -- ./backup\n"
         "lease acquire --ttl 1m leader\n"
         "lease renew o9\n"},
    [VERB_EVENTS] =
        {"print what happens",
         "Without --follow: what is still kept, from --since on. With it: from now on,\n"
         "or from --since on. The order has no gaps; when the daemon no longer keeps\n"
         "what was asked for, that is said and the exit code is 125.\n",
         "events -f --in /web\n"
         "events --since 1000 --json\n"},
    [VERB_STATUS] = {"show the state of the daemon", "", "status\nstatus --json\n"},
    [VERB_DRAIN] = {"admit no new work and wait until all that runs has ended",
                    "Finishes the root region; the daemon exits when nothing is left.\n",
                    "drain\n"},
    [VERB_RELOAD] = {"make the daemon read its configuration again", "", "reload\n"},
    [VERB_UPGRADE] =
        {"replace the daemon's engine by the program as it is installed now",
         "Tasks, regions, sessions and waits go on; only the keeper, their parent, stays\n"
         "as it is. The new program is tried first: one that would not start, cannot read\n"
         "the journal, or does not fit the keeper that runs changes nothing, and the\n"
         "daemon has to be restarted as a whole. Returns once the new engine answers.\n",
         "upgrade\n"},
    [VERB_SHUTDOWN] =
        {"end everything and the daemon, wait until it is gone",
         "A structured shutdown of the whole tree. Exits 0 when the daemon is gone.\n",
         "shutdown\nshutdown --within 10s\n"},
    [VERB_COMPLETION] = {"print a completion script, or ids for one", "",
                         "completion bash > /etc/bash_completion.d/asupersyncctl\n"},
    [VERB_HELP] = {"explain a verb", "", "help run\n"},
    [VERB_VERSION] = {"print the versions of this command and of the daemon", "", "version\n"},
};

bool
verb_takes(enum verb_id verb, enum option_id option)
{
    return (option_rows[option].verbs >> verb & 1) != 0;
}

bool
option_is_global(enum option_id option)
{
    return option_rows[option].verbs == ON_ALL;
}

const struct verb *
verb_find(const char *name)
{
    for (size_t i = 0; i < VERB_COUNT; i++) {
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    }
    return NULL;
}

const struct verb *
verb_near(const char *name)
{
    const struct verb *best = NULL;
    /* Two slips, but no more than half of the word. */
    unsigned limit = strlen(name) < 4 ? 1 : 2;

    for (size_t i = 0; i < VERB_COUNT; i++) {
        unsigned distance = text_distance(name, verbs[i].name);
        if (distance <= limit && (best == NULL || distance < text_distance(name, best->name)))
            best = &verbs[i];
    }
    return best;
}
