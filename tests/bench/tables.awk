# tables.awk - results.txt to Markdown. Exits 1 if a client failed or missed an event or a text, or
# if a goal is missed: goals are counts, which are the same in every run.
# Variables: machine, a line about it; plot, a file for what gnuplot draws; comparable, 1 if the
# goals of instructions hold for this machine, compiler and flags.

function median(list,    n, value, i, j, held) {
    n = split(list, value, " ")
    if (!n) return ""
    for (i = 2; i <= n; i++) {
        held = value[i] + 0
        for (j = i - 1; j > 0 && value[j] + 0 > held; j--) value[j + 1] = value[j]
        value[j + 1] = held
    }
    return n % 2 ? value[(n + 1) / 2] : (value[n / 2] + value[n / 2 + 1]) / 2
}

function show(format, value) { return value == "" ? "-" : sprintf(format, value) }

function wrong(what) {
    print "**WRONG**: " what "\n"
    failed = 1
}

# Whether the client has seen what the server has sent.
function check(    name) {
    name = f["test"] " of " f["who"] ", round " f["round"]
    if (f["failed"]) return wrong(name ": failed")
    if (f["who"] == "limit") {
        if (f["bytes"] != f["s_bytes"])
            wrong(name ": " f["bytes"] " of " f["s_bytes"] " bytes")
        return
    }
    if (f["who"] == "rtm.h-none") return
    if (f["who"] != "rtm.h-message" && f["test"] !~ /^(listeners|strangers)/ &&
        f["events"] != f["s_sent"]) wrong(name ": " f["events"] " of " f["s_sent"] " events")
    if ("units" in f ? f["units"] != f["s_units"] : f["length"] != f["s_length"])
        wrong(name ": not all texts")
    if (f["test"] == "prove" && f["checksum"] != f["s_checksum"]) wrong(name ": other texts")
}

# All requests use one connection: one before those that are timed, one after them.
function check_requests() {
    if (f["failed"] || f["requests"] != 1000 || f["s_requests"] != 1002)
        wrong("requests of " f["who"] ", round " f["round"] ": " f["s_requests"] " on a connection")
}

function add_requests(    each) {
    each = f["wall_us"] / f["requests"]
    add("each " who, each)
    add("each50 " who, f["p50_us"])
    add("eachcpu " who, f["cpu_us"] / f["requests"])
    add("each_rss " who, f["rss_kib"])
    each_of[who, f["round"]] = each
    rounds_of_requests = f["round"]
}

# The median over the rounds of one caller's time as a multiple of the other's in the same round.
function times_requests(who, other,    i, list) {
    for (i = 1; i <= rounds_of_requests; i++)
        if ((who, i) in each_of && (other, i) in each_of)
            list = list " " each_of[who, i] / each_of[other, i]
    return median(list)
}

# CPU per event in us; the limit does not know how many there were, the server does.
function per_event() { return f["cpu_us"] / f["s_sent"] }

function add(key, value) { series[key] = series[key] " " value }

BEGIN {
    clients = split("limit rtm.h rtm.h-message rtm.h-none libwebsockets node slack-go", client,
        " ")
}

{
    for (name in f) delete f[name]
    for (i = 1; i <= NF; i++) {
        at = index($i, "=")
        f[substr($i, 1, at - 1)] = substr($i, at + 1)
    }
    test = f["test"]; who = f["who"]
    if (test == "memory") { for (name in f) memory[name] = f[name]; next }
    if (test == "instructions") {
        if (f["count"] + 0 <= 0) wrong("instructions of " who ": not counted")
        order[++orders] = who; count[who] = f["count"]; recorded[who] = f["recorded"]
        next
    }
    if (test == "handshake") {
        if (f["failed"] || ("count" in f && f["count"] + 0 <= 0))
            wrong("handshake " who ": failed, or not counted")
        shake["us " who] = f["us"]; shake["count " who] = f["count"]
        next
    }
    if (test == "requests") {
        check_requests()
        add_requests()
        next
    }
    if (test == "slow") {
        if (f["failed"] || f["during"] != f["events"]) wrong("slow: failed, or events were held up")
        for (name in f) slow[name] = f[name]
        next
    }
    check()
    seen[who] = 1
    if (test == "prove") { proved[who]++; next }
    if (f["failed"]) next
    if (f["cpu_us"] > 0 && f["s_sent"] > 0) {
        add("cpu " test " " who, per_event())
        if (who == "limit") limit[test, f["round"]] = per_event()
        if ((test, f["round"]) in limit)
            add("times " test " " who, per_event() / limit[test, f["round"]])
        if (test ~ /^size-/) add("byte " test " " who, 1000 * f["cpu_us"] / f["s_bytes"])
    }
    if (test == "flood") add("rss " who, f["rss_kib"])
    if (test == "start") add("hello " who, f["hello_us"] / 1000)
    if (test == "echo") add("rtt " who, f["s_rtt50_us"])
    if (test == "latency") {
        add("p50 " who, f["p50_us"])
        add("p99 " who, f["p99_us"])
        if (who == "limit") limit["p50", f["round"]] = f["p50_us"]
        else add("p50times " who, f["p50_us"] / limit["p50", f["round"]])
    }
}

function label(who) {
    if (who == "limit") return "BearSSL loop, no parsing (the limit)"
    if (who == "libwebsockets") return "libwebsockets + cJSON"
    if (who == "node") return "Node @slack/rtm-api"
    if (who == "rtm_submit") return "rtm.h, rtm_submit, each in the callback of the last"
    if (who == "rtm_submit-queued") return "rtm.h, rtm_submit, all at once"
    if (who == "libcurl") return "libcurl, multi interface"
    if (who == "web-api") return "Node @slack/web-api"
    if (who == "rtm.h-message") return "rtm.h, listening for messages only"
    if (who == "rtm.h-none") return "rtm.h, no handler"
    return who
}

function cost_table(    i, who) {
    print "| client | flood, µs | × limit | one per record, µs | × limit | peak RSS, KiB |"
    print "|---|--:|--:|--:|--:|--:|"
    for (i = 1; i <= clients; i++) {
        who = client[i]
        if (!(("cpu flood " who) in series) && !(("cpu single " who) in series)) continue
        printf "| %s | %s | %s | %s | %s | %s |\n", label(who),
            show("%.2f", median(series["cpu flood " who])),
            show("%.2f", median(series["times flood " who])),
            show("%.2f", median(series["cpu single " who])),
            show("%.2f", median(series["times single " who])),
            show("%d", median(series["rss " who]))
        if (who !~ /^rtm.h-/ && plot != "")
            printf "\"%s\" %s %s\n", who, median(series["times flood " who]),
                median(series["times single " who]) >plot
    }
}

function time_table(    i, who) {
    print "\n| client | latency p50, µs | × limit | p99, µs | round trip p50, µs |" \
        " start to hello, ms |"
    print "|---|--:|--:|--:|--:|--:|"
    for (i = 1; i <= clients; i++) {
        who = client[i]
        if (!(("p50 " who) in series) && !(("rtt " who) in series)) continue
        printf "| %s | %s | %s | %s | %s | %s |\n", label(who),
            show("%.1f", median(series["p50 " who])),
            who == "limit" ? "1.00" : show("%.2f", median(series["p50times " who])),
            show("%.1f", median(series["p99 " who])), show("%.1f", median(series["rtt " who])),
            show("%.1f", median(series["hello " who]))
    }
}

function request_table(    i, n, who, callers) {
    if (!rounds_of_requests) return
    print "\n| 1,000 requests, one after another | each, µs | × libcurl | × Node | p50, µs |" \
        " CPU, µs | peak RSS, KiB |\n|---|--:|--:|--:|--:|--:|--:|"
    n = split("rtm_submit rtm_submit-queued libcurl web-api", callers, " ")
    for (i = 1; i <= n; i++) {
        who = callers[i]
        if (!(("each " who) in series)) continue
        printf "| %s | %.1f | %s | %s | %.1f | %.1f | %d |\n", label(who),
            median(series["each " who]), show("%.2f", times_requests(who, "libcurl")),
            show("%.3f", times_requests(who, "web-api")), median(series["each50 " who]),
            median(series["eachcpu " who]), median(series["each_rss " who])
    }
}

function slow_table() {
    if (!("quiet50" in slow)) return
    print "\n| event latency, typed into the sandbox | p50, µs | p99, µs |\n|---|--:|--:|"
    printf "| nothing under way | %.1f | %.1f |\n", slow["quiet50"], slow["quiet99"]
    printf "| a request under way that takes %d ms | %.1f | %.1f |\n", slow["slow_ms"],
        slow["slow50"], slow["slow99"]
}

function queue_table() {
    if (!("queue_one" in memory)) return
    print "\n| heap of the request queue | bytes |\n|---|--:|"
    printf "| one request under way, its connection's handshake included, at most | %d |\n",
        memory["queue_one"]
    printf "| its connection, kept | %d |\n", memory["queue_kept"]
    printf "| each of 1,000 that wait, forms of %d bytes | %d |\n", memory["queue_form"],
        memory["queue_waiting"] / 1000
    printf "| all 1,000 while they are worked off, at most | %d |\n", memory["queue_peak"]
}

function curve_tables(    sizes, n, i, key) {
    print "\n| bytes per message | rtm.h, ns per byte | the limit | × limit |\n|--:|--:|--:|--:|"
    n = split("100 1000 10000 100000 1048576", sizes, " ")
    for (i = 1; i <= n; i++) {
        key = "size-" sizes[i]
        printf "| %d | %s | %s | %s |\n", sizes[i],
            show("%.3f", median(series["byte " key " rtm.h"])),
            show("%.3f", median(series["byte " key " limit"])),
            show("%.2f", median(series["times " key " rtm.h"]))
    }
    print "\n| number | µs per event, so many listeners hear it | per listener" \
        " | µs per event, one hears it, the others other types | µs per event, so many clients |"
    print "|--:|--:|--:|--:|--:|"
    n = split("1 10 100 1000", sizes, " ")
    for (i = 1; i <= n; i++) {
        key = median(series["cpu listeners-" sizes[i] " rtm.h"])
        printf "| %d | %s | %s | %s | %s |\n", sizes[i], show("%.2f", key),
            key == "" ? "-" : sprintf("%.4f", key / sizes[i]),
            show("%.2f", median(series["cpu strangers-" sizes[i] " rtm.h"])),
            show("%.2f", median(series["cpu clients-" sizes[i] " rtm.h"]))
    }
}

function instruction_table(    i, who) {
    if (!orders) return
    print "\n| instructions per event | now | recorded | change |\n|---|--:|--:|--:|"
    for (i = 1; i <= orders; i++) {
        who = order[i]
        printf "| %s | %d | %s | %s |\n", who, count[who], show("%d", recorded[who]),
            recorded[who] ? sprintf("%+.1f %%", 100 * (count[who] / recorded[who] - 1)) : "-"
    }
}

function handshake_table(    i, who, whos, what) {
    if (!("us one-full" in shake)) return
    print "\n| TLS handshake of rtm.h | instructions | of a full one | CPU, kernel included, µs |"
    print "|---|--:|--:|--:|"
    split("one-full bundle-full one-resumed bundle-resumed", whos, " ")
    split("full, one root;full, the system's bundle;resumed, one root;resumed, the bundle", what, ";")
    for (i = 1; i <= 4; i++) {
        who = whos[i]
        if (!(("us " who) in shake)) continue
        printf "| %s | %d | %s | %.0f |\n", what[i], shake["count " who],
            i < 3 ? "" : sprintf("%.1f %%", part_of_full(who)), shake["us " who]
    }
}

function part_of_full(who,    full) {
    full = shake["count " substr(who, 1, index(who, "-")) "full"]
    return full ? 100 * shake["count " who] / full : ""
}

function goal(what, most, value, format) {
    if (value == "") return
    if (!goals++) print "\n| goal of rtm.h | at most | measured | met |\n|---|--:|--:|---|"
    printf "| %s | %s | %s | %s |\n", what, sprintf(format, most), sprintf(format, value),
        value + 0 <= most ? "yes" : "**no**"
    if (value + 0 > most) missed++
}

# `usual` is no goal: times depend on the machine and on what else it does. "" = not known.
function timed(what, usual, value, format) {
    if (value == "") return
    if (!times++)
        print "\n| times, for information only | usually at most | measured |\n|---|--:|--:|"
    printf "| %s | %s | %s |\n", what, show(format, usual), sprintf(format, value)
}

function fastest(kind,    i, value, best) {
    for (i = 1; i <= clients; i++) {
        value = median(series[kind " " client[i]])
        if (client[i] ~ /^(limit|rtm.h)/ || value == "") continue
        if (best == "" || value < best) best = value
    }
    return best
}

function time_ratio_table() {
    timed("flood, × limit", "", median(series["times flood rtm.h"]), "%.2f")
    timed("one event per record, × limit", "", median(series["times single rtm.h"]), "%.2f")
    timed("no handler, flood, × limit", "", median(series["times flood rtm.h-none"]), "%.2f")
    timed("no handler, one per record, × limit", "", median(series["times single rtm.h-none"]),
        "%.2f")
    timed("latency p50, × limit", 1.1, median(series["p50times rtm.h"]), "%.2f")
    timed("round trip p50, µs (the best peer's)", fastest("rtt"), median(series["rtt rtm.h"]),
        "%.1f")
    timed("start to hello, ms (the best peer's)", fastest("hello"), median(series["hello rtm.h"]),
        "%.1f")
    timed("request, × Node's", 1, times_requests("rtm_submit", "web-api"), "%.3f")
    timed("request, × libcurl's", 1.3, times_requests("rtm_submit", "libcurl"), "%.2f")
    if ("quiet50" in slow)
        timed("event latency during a slow request, × without", 1.1,
            slow["slow50"] / slow["quiet50"], "%.2f")
    if ("process_rss_kib" in memory)
        timed("RSS of a process with " memory["clients"] " idle clients, KiB", 46080,
            memory["process_rss_kib"], "%d")
}

function goal_table() {
    if (comparable) {
        goal("instructions, flood", 8200, count["flood"], "%d")
        goal("instructions, one event per record", 10750, count["single"], "%d")
        goal("instructions, no handler, flood", 2800, count["flood-none"], "%d")
        goal("instructions, no handler, one per record", 5400, count["single-none"], "%d")
        goal("instructions in rtm_poll, event of 700 bytes, RTM", 8300, count["poll-rtm"], "%d")
        goal("instructions in rtm_poll, event of 700 bytes, Socket Mode", 26500,
            count["poll-socket-mode"], "%d")
    } else if (orders) {
        print "\nThe goals of instructions per event are for gcc, `-O2 -g` and x86-64: not checked."
    }
    goal("resumed handshake, % of a full one's instructions", 5, part_of_full("one-resumed"),
        "%.1f")
    if (!("idle_heap" in memory)) return
    goal("heap of a connected idle client, bytes", 40960, memory["idle_heap"], "%d")
    goal("heap while connecting, one root, bytes", 65536, memory["peak_one_root"], "%d")
    goal("the same with " memory["anchors"] " anchors, without the " memory["anchors_heap"] \
        " that these use", 65536, memory["peak_bundle"] - memory["anchors_heap"], "%d")
    goal("allocations in " memory["steady_events"] " events", 0, memory["steady_allocations"],
        "%d")
    goal("heap that 1,000 requests left more than one did, bytes", 0,
        memory["queue_after"] - memory["queue_kept"], "%d")
    if (memory["failed"] || memory["leaked"] + 0) wrong("memory: failed, or leaked")
}

END {
    print machine "\n"
    if ("cpu flood rtm.h" in series || "cpu single rtm.h" in series) cost_table()
    if ("p50 rtm.h" in series || "rtt rtm.h" in series) time_table()
    if ("cpu size-100 rtm.h" in series) curve_tables()
    request_table()
    slow_table()
    queue_table()
    handshake_table()
    instruction_table()
    time_ratio_table()
    goal_table()
    for (i = 1; i <= clients; i++)
        if (client[i] !~ /^(limit|rtm.h-)/ && client[i] in seen && proved[client[i]] != 2)
            wrong(client[i] " has not proved that it sees everything")
    if (!failed) print "\nEvery client saw every event and every text."
    if (missed) print "\n**" missed " of " goals " goals missed.**"
    else if (goals) print "\nAll " goals " goals are met."
    print "\nThe exit status depends on these two facts only. Goals are counts (instructions," \
        " heap, allocations),\nwhich are the same in every run. Times and their ratios are" \
        " information."
    exit failed || missed
}
