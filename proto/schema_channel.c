/* SPDX-License-Identifier: MIT */
/* The family channel: fields of its requests, and what it answers. */
#include "schema_rows.h"

#define NEVER PRESET(ASUP_NEVER)
#define ANY_DURATION RANGE(0, PROTO_DURATION_MAX)
#define SOME_DURATION RANGE(1, PROTO_DURATION_MAX), PRESET(0)
#define CHANNEL(s) ANY(s, channel, "channel", CHANNEL_DOC, REQUIRED)
#define CHANNEL_DOC "The channel: its id, or the path of its region and its name (/web/orders)."
#define END                                                                                        \
    {                                                                                              \
        NULL, NULL, NULL                                                                           \
    }

/* ---- Requests ---------------------------------------------------------------------- */

static const struct proto_field open_fields[] = {
    REGION(args_channel_open, region, "region", "The region that will own it.", REQUIRED),
    NAME(args_channel_open, name, "name", "Name among the channels of its region; absent: its id.",
         RANGE(1, ASUP_NAME_MAX)),
    UINT(args_channel_open, capacity, "capacity",
         "Messages queued, permits and messages not yet acknowledged, together at most.",
         RANGE(1, UINT32_MAX), PRESET(1024)),
    DURATION(args_channel_open, ack_timeout_ns, "ack_timeout_ns",
             "By when a receiver settles its ack; absent: the configured time.", SOME_DURATION),
    DURATION(args_channel_open, permit_timeout_ns, "permit_timeout_ns",
             "By when a sender uses its permit; absent: the configured time.", SOME_DURATION),
    UINT(args_channel_open, nacks_max, "nacks_max",
         "So many nacks and deaths of receivers make a message a dead letter; 0: no number does; "
         "absent: the configured number.",
         RANGE(0, UINT32_MAX), PRESET(PROTO_UNSET)),
    UINT(args_channel_open, timeouts_max, "timeouts_max", "Likewise ack timeouts.",
         RANGE(0, UINT32_MAX), PRESET(PROTO_UNSET)),
    DURATION(args_channel_open, dead_retention_ns, "dead_retention_ns",
             "How long a dead letter is kept; absent: the configured time.", SOME_DURATION),
};
static const struct proto_field subject_fields[] = {CHANNEL(args_channel)};
static const struct proto_field list_fields[] = {
    REGION(args_channel_list, region, "region", "Whose channels; absent: \"/\"."),
    BOOL(args_channel_list, recursive, "recursive", "With those of the regions in it."),
};
static const struct proto_field reserve_fields[] = {
    CHANNEL(args_channel_reserve),
    DURATION(args_channel_reserve, timeout_ns, "timeout_ns",
             "How long to wait for room; absent: not at all.", ANY_DURATION, PRESET(0)),
};
static const struct proto_field send_fields[] = {
    ID(args_channel_send, obligation, "obligation",
       "The permit to send into; absent: none, and channel is given.", ASUP_SORT_OBLIGATION),
    ANY(args_channel_send, channel, "channel", "Where to send without a permit."),
    DATA(args_channel_send, data, "data", "The message: any bytes, none included.", REQUIRED),
};
static const struct proto_field obligation_fields[] = {
    ID(args_channel_obligation, obligation, "obligation", "The permit or ack.",
       ASUP_SORT_OBLIGATION, REQUIRED),
};
static const struct proto_field receive_fields[] = {
    CHANNEL(args_channel_receive),
    DURATION(args_channel_receive, timeout_ns, "timeout_ns",
             "How long to wait; 0 asks without waiting; absent: for ever.", ANY_DURATION, NEVER),
    DURATION(args_channel_receive, ack_timeout_ns, "ack_timeout_ns",
             "By when this ack is settled; absent: the channel's time.", SOME_DURATION),
};
static const struct proto_field nack_fields[] = {
    ID(args_channel_nack, obligation, "obligation", "The ack.", ASUP_SORT_OBLIGATION, REQUIRED),
    TEXT(args_channel_nack, note, "note", "Why; kept with the message.",
         RANGE(0, ASUP_MESSAGE_MAX)),
};
static const struct proto_field extend_fields[] = {
    ID(args_channel_extend, obligation, "obligation", "The ack.", ASUP_SORT_OBLIGATION, REQUIRED),
    DURATION(args_channel_extend, ack_timeout_ns, "ack_timeout_ns",
             "Its time, counted from now; absent: the channel's.", SOME_DURATION),
};
static const struct proto_field message_fields[] = {
    ID(args_message, message, "message", "The message.", ASUP_SORT_MESSAGE, REQUIRED),
};
static const struct proto_field dead_fields[] = {
    REGION(args_channel_dead, region, "region",
           "Only those that came from channels of this region, or of regions in it."),
    ANY(args_channel_dead, channel, "channel", "Only those that came from this channel."),
    ID(args_channel_dead, after, "after", "Go on after this message.", ASUP_SORT_MESSAGE),
    UINT(args_channel_dead, limit, "limit", "How many at most.", RANGE(1, 1000), PRESET(1000)),
};
static const struct proto_field retry_fields[] = {
    ID(args_channel_retry, message, "message", "The dead letter.", ASUP_SORT_MESSAGE, REQUIRED),
    ANY(args_channel_retry, channel, "channel",
        "The channel it goes into; absent: the one it came from."),
};

#define ARGS(name, s)                                                                              \
    const struct proto_record channel_##name##_record = RECORD_OF("", "", s, name##_fields)
ARGS(open, args_channel_open);
ARGS(subject, args_channel);
ARGS(list, args_channel_list);
ARGS(reserve, args_channel_reserve);
ARGS(send, args_channel_send);
ARGS(obligation, args_channel_obligation);
ARGS(receive, args_channel_receive);
ARGS(nack, args_channel_nack);
ARGS(extend, args_channel_extend);
ARGS(message, args_message);
ARGS(dead, args_channel_dead);
ARGS(retry, args_channel_retry);

/* ---- Shapes ----------------------------------------------------------------------------- */

const struct proto_reply_field proto_channel_shape[] = {
    {"id", "id", "The channel."},
    {"name", "text", "Its name."},
    {"path", "text", "The path of its region and its name."},
    {"region", "id", "The region that owns it."},
    {"owner", "uint", "User id of that region's owner."},
    {"state", "text", "open, sealed, or closed (with its region; kept for its dead letters)."},
    {"capacity", "uint", "What queued, permits and unacked may come to together."},
    {"queued", "uint", "Messages that wait to be received."},
    {"permits", "uint", "Permits that are held."},
    {"unacked", "uint", "Messages received and not yet settled."},
    {"dead", "uint", "Dead letters that came from it and are kept."},
    {"sent", "uint", "Messages ever sent."},
    {"consumed", "uint", "Messages ever acknowledged."},
    {"bytes", "uint", "Data of the messages in it."},
    {"senders", "uint", "Requests that wait for room."},
    {"receivers", "uint", "Requests that wait for a message."},
    {"ack_timeout_ns", "uint", "By when a receiver settles its ack."},
    {"permit_timeout_ns", "uint", "By when a sender uses its permit."},
    {"nacks_max", "uint", "Nacks and deaths that make a message a dead letter; 0: no number."},
    {"timeouts_max", "uint", "Likewise ack timeouts."},
    {"dead_retention_ns", "uint", "How long a dead letter is kept."},
    END,
};
const struct proto_reply_field proto_message_shape[] = {
    {"id", "id", "The message."},
    {"channel", "id", "The channel it is in, or came from."},
    {"channel_name", "text", "The name of that channel."},
    {"region", "id", "The region of that channel, which may be closed and forgotten."},
    {"owner", "uint", "User id of that region's owner."},
    {"state", "text", "queued, received (and not yet settled) or dead."},
    {"size", "uint", "Bytes of data."},
    {"sender", "id|nil", "The task or session that sent it."},
    {"age_ns", "uint", "Since it was sent."},
    {"deliveries", "uint", "How often it was received."},
    {"nacks", "uint", "Deliveries that ended in a nack, since it was sent or retried."},
    {"deaths", "uint", "Likewise with the end of the receiver."},
    {"timeouts", "uint", "Likewise with the time of the ack."},
    {"note", "text", "What the last nack said."},
    {"dead_why", "text|nil", "What made it a dead letter: nack, death, timeout, or closed."},
    {"dead_age_ns", "uint|nil", "Since it is a dead letter."},
    {"dead_left_ns", "uint|nil", "Until it is forgotten."},
    {"history", "list of map",
     "The last deliveries that failed, oldest first: {receiver, why, age_ns}."},
    END,
};

/* ---- Bodies ------------------------------------------------------------------------------- */

const struct proto_reply_field channel_open_reply[] = {
    {"channel", "id", "The new channel."},
    {"path", "text", "The path of its region and its name."},
    END,
};
const struct proto_reply_field channel_subject_reply[] = {
    {"...", "C", "The body is a channel."},
    END,
};
const struct proto_reply_field channel_list_reply[] = {
    {"channels", "list of C", "Region by region, in order of their ids."},
    END,
};
const struct proto_reply_field channel_reserve_reply[] = {
    {"obligation", "id", "The permit."},
    {"left_ns", "uint|nil", "Until it is taken back."},
    END,
};
const struct proto_reply_field channel_send_reply[] = {
    {"message", "id", "The message."},
    {"channel", "id", "The channel it is in."},
    END,
};
const struct proto_reply_field channel_receive_reply[] = {
    {"obligation", "id", "The ack: commit it with channel.ack, or give the message back."},
    {"message", "id", "The message."},
    {"channel", "id", "The channel it is in."},
    {"data", "bin", "What was sent."},
    {"sender", "id|nil", "The task or session that sent it."},
    {"sent_at_ns", "uint", "Kernel time of the send."},
    {"deliveries", "uint", "How often it was received; 1 the first time."},
    {"left_ns", "uint|nil", "Until the message goes back to its place."},
    END,
};
const struct proto_reply_field channel_extend_reply[] = {
    {"left_ns", "uint|nil", "Until the message goes back to its place."},
    END,
};
const struct proto_reply_field channel_message_reply[] = {
    {"...", "M", "The body is a message."},
    {"data", "bin", "What was sent."},
    END,
};
const struct proto_reply_field channel_dead_reply[] = {
    {"messages", "list of M", "Oldest dead letter first."},
    {"more", "bool", "There are more: ask again after the last of these."},
    END,
};
