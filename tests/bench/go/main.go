// go - slack-go's RTM: of each event its type, of each message its channel, user and text.
// SSL_CERT_FILE names the CA.
package main

import (
	"fmt"
	"os"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/slack-go/slack"
)

const prime = 1099511628211

var (
	events, length              int64
	checksum                    uint64
	helloUs, startCPU           int64
	started                     bool
	delays                      []int64
	check, latencyMode, echoing bool
)

func cpuUs() int64 {
	var use syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &use)
	return (use.Utime.Sec+use.Stime.Sec)*1000000 + use.Utime.Usec + use.Stime.Usec
}

func fnv(hash uint64, text string) uint64 {
	for i := 0; i < len(text); i++ {
		hash = (hash ^ uint64(text[i])) * prime
	}
	return (hash ^ 0xff) * prime
}

func rssKiB() string {
	status, _ := os.ReadFile("/proc/self/status")
	for _, line := range strings.Split(string(status), "\n") {
		if strings.HasPrefix(line, "VmHWM:") {
			return strings.Fields(line)[1]
		}
	}
	return "0"
}

func finish() {
	fmt.Printf("client=slack-go events=%d length=%d cpu_us=%d rss_kib=%s hello_us=%d", events,
		length, cpuUs()-startCPU, rssKiB(), helloUs)
	if check {
		fmt.Printf(" checksum=%016x", checksum)
	}
	if len(delays) > 0 {
		sort.Slice(delays, func(i, j int) bool { return delays[i] < delays[j] })
		fmt.Printf(" p50_us=%.1f p99_us=%.1f", float64(delays[len(delays)/2])/1000,
			float64(delays[len(delays)*99/100])/1000)
	}
	fmt.Println()
	os.Exit(0)
}

func event() {
	if !started {
		started = true
		startCPU = cpuUs()
	}
	events++
}

func message(rtm *slack.RTM, m *slack.MessageEvent) {
	if m.Text == "END" {
		finish()
	}
	event()
	length += int64(len(m.Channel) + len(m.User) + len(m.Text))
	if latencyMode {
		sent, _ := strconv.ParseInt(m.Text[strings.IndexByte(m.Text, ' ')+1:], 10, 64)
		delays = append(delays, time.Now().UnixNano()-sent)
	}
	if check {
		hash := fnv(fnv(fnv(14695981039346656037, m.Channel), m.User), m.Text)
		checksum = checksum*prime + hash
	}
	if echoing {
		rtm.SendMessage(rtm.NewOutgoingMessage(m.Text, m.Channel))
	}
}

func main() {
	base := ""
	for _, argument := range os.Args[1:] {
		if strings.HasPrefix(argument, "base=") {
			base = argument[5:]
		}
		check = check || argument == "check=1"
	}
	latencyMode = strings.Contains(base, "mode=latency")
	echoing = strings.Contains(base, "mode=echo")
	rtm := slack.New("xoxb-bench", slack.OptionAPIURL(base)).NewRTM()
	go rtm.ManageConnection()
	for incoming := range rtm.IncomingEvents {
		switch data := incoming.Data.(type) {
		case *slack.HelloEvent:
			begun, _ := strconv.ParseInt(os.Getenv("BENCH_START_REAL"), 10, 64)
			helloUs = (time.Now().UnixNano() - begun) / 1000
		case *slack.MessageEvent:
			message(rtm, data)
		case *slack.ReactionAddedEvent, *slack.UserTypingEvent, *slack.PresenceChangeEvent,
			*slack.ChannelCreatedEvent:
			event()
		case *slack.UnmarshallingErrorEvent, *slack.ConnectionErrorEvent, *slack.InvalidAuthEvent:
			fmt.Fprintln(os.Stderr, "go:", incoming.Type, data)
		}
	}
}
