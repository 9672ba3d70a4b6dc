// main.go - slack-go, in RTM and in Socket Mode, against the sandbox: it must find it to be Slack.
//
//	slack_go CERT KEY SANDBOX
package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/slack-go/slack"
	"github.com/slack-go/slack/slackevents"
	"github.com/slack-go/slack/socketmode"
)

var (
	shown  = make(chan string, 1000) // what the sandbox prints
	heard  = make(chan string, 1000) // what the client hears
	told   strings.Builder
	input  io.Writer
	checks int
)

func fail(why string) {
	fmt.Printf("%sinterop: FAILED: slack-go: %s\n", told.String(), why)
	os.Exit(1)
}

func check(good bool, why string) {
	if !good {
		fail(why)
	}
	checks++
}

func typeLine(line string) { fmt.Fprintln(input, line) }

// The next line that says this, whatever is before.
func await(from chan string, text string) {
	late := time.After(60 * time.Second)
	for {
		select {
		case line := <-from:
			if from == shown {
				told.WriteString(line + "\n")
			}
			if strings.Contains(line, text) {
				checks++
				return
			}
			check(from == shown, fmt.Sprintf("the client heard %q, not %q", line, text))
		case <-late:
			fail("waited too long for " + text)
		}
	}
}

func rtmSession(api *slack.Client) {
	auth, err := api.AuthTest()
	check(err == nil && auth.UserID != "", fmt.Sprint("auth.test: ", err))
	rtm := api.NewRTM()
	go rtm.ManageConnection()
	go func() {
		for event := range rtm.IncomingEvents {
			switch data := event.Data.(type) {
			case *slack.ConnectedEvent:
				check(data.Info.User.ID == auth.UserID, "rtm.connect and auth.test differ")
			case *slack.HelloEvent:
				heard <- "hello"
			case *slack.MessageEvent:
				heard <- data.Text
			case *slack.AckMessage:
				heard <- fmt.Sprint("ack ", data.ReplyTo, " ", data.Ok)
			case *slack.RTMError:
				heard <- data.Error()
			}
		}
	}()
	await(heard, "hello")
	typeLine("Grüße & <world>")
	await(heard, "Grüße &amp; &lt;world&gt;")
	message := rtm.NewOutgoingMessage("from slack-go", "C0SANDBOX")
	rtm.SendMessage(message)
	await(shown, "from slack-go")
	await(heard, fmt.Sprint("ack ", message.ID, " true"))
	rtm.SendMessage(rtm.NewTypingMessage("C0SANDBOX"))
	await(shown, "is typing")
	_, ts, err := api.PostMessage("C0SANDBOX", slack.MsgOptionText("by the Web API", false))
	check(err == nil && ts != "", fmt.Sprint("chat.postMessage: ", err))
	await(heard, "by the Web API")
	user, err := api.GetUserInfo("U0HUMAN")
	check(err == nil && user.RealName != "", fmt.Sprint("users.info: ", err))
	history, err := api.GetConversationHistory(
		&slack.GetConversationHistoryParameters{ChannelID: "C0SANDBOX"})
	check(err == nil && len(history.Messages) >= 2 && history.Messages[0].Text == "by the Web API",
		fmt.Sprint("conversations.history: ", err))
	for _, end := range []string{"/goodbye", "/drop", "/close 1001"} {
		typeLine(end)
		await(heard, "hello")
		typeLine("after " + end[1:])
		await(heard, "after "+end[1:])
	}
	check(rtm.Disconnect() == nil, "no clean end")
	await(shown, "bot disconnected")
}

func socketSession(api *slack.Client) {
	client := socketmode.New(api)
	context, stop := context.WithCancel(context.Background())
	defer stop()
	go func() {
		if err := client.RunContext(context); err != nil && context.Err() == nil {
			fail(err.Error())
		}
	}()
	go func() {
		for event := range client.Events {
			switch event.Type {
			case socketmode.EventTypeHello:
				heard <- "hello"
			case socketmode.EventTypeEventsAPI:
				data := event.Data.(slackevents.EventsAPIEvent)
				message, is := data.InnerEvent.Data.(*slackevents.MessageEvent)
				check(is, "an event that is no message")
				heard <- message.Text
				client.Ack(*event.Request)
			case socketmode.EventTypeSlashCommand:
				command := event.Data.(slack.SlashCommand)
				heard <- command.Command + " " + command.Text
				client.Ack(*event.Request, map[string]string{"text": "sunny in " + command.Text})
			case socketmode.EventTypeInteractive:
				callback := event.Data.(slack.InteractionCallback)
				heard <- string(callback.Type)
				client.Ack(*event.Request)
			}
		}
	}()
	await(heard, "hello")
	typeLine("hello")
	await(heard, "hello")
	typeLine("/slash /weather Berlin")
	await(heard, "/weather Berlin")
	await(shown, "answers /weather (only for you): sunny in Berlin")
	typeLine("/click approve")
	await(heard, "block_actions")
	await(shown, "acknowledged approve")
	for _, end := range []string{"/refresh", "/refresh"} {
		typeLine(end)
		await(heard, "hello")
		typeLine("after it")
		await(heard, "after it")
	}
}

func main() {
	sandbox := exec.Command(os.Args[3], "--port", "0", "--seed", "1", "--cert", os.Args[1], "--key",
		os.Args[2])
	input, _ = sandbox.StdinPipe()
	output, _ := sandbox.StdoutPipe()
	check(sandbox.Start() == nil, "the sandbox does not start")
	lines := bufio.NewScanner(output)
	lines.Scan()
	url := "https://" + strings.SplitN(lines.Text(), "https://", 2)[1]
	go func() {
		for lines.Scan() {
			shown <- lines.Text()
		}
	}()
	api := slack.New("xoxb-interop", slack.OptionAPIURL(url),
		slack.OptionAppLevelToken("xapp-interop"))
	rtmSession(api)
	socketSession(api)
	typeLine("/quit")
	check(len(heard) == 0, "the client heard more")
	check(sandbox.Wait() == nil, "the sandbox does not end")
	fmt.Printf("interop: slack-go: %d checks against the sandbox\n", checks)
}
