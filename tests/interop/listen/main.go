// listen - prints what slack-go hears, and why it ends. For compare.py.
package main

import (
	"fmt"
	"os"

	"github.com/slack-go/slack"
	"github.com/slack-go/slack/slackevents"
	"github.com/slack-go/slack/socketmode"
)

func end(why interface{}) {
	fmt.Println("ended:", why)
	os.Exit(1)
}

func main() {
	app := os.Getenv("SLACK_APP_TOKEN")
	api := slack.New(os.Getenv("SLACK_API_TOKEN"), slack.OptionAPIURL(os.Getenv("SLACK_API_URL")),
		slack.OptionAppLevelToken(app))
	if app == "" {
		rtm := api.NewRTM()
		go rtm.ManageConnection()
		for event := range rtm.IncomingEvents {
			switch data := event.Data.(type) {
			case *slack.MessageEvent:
				fmt.Println("heard", data.Text)
			case *slack.InvalidAuthEvent:
				end("invalid_auth")
			}
		}
		end("no more events")
	}
	client := socketmode.New(api)
	go func() {
		for event := range client.Events {
			if data, is := event.Data.(slackevents.EventsAPIEvent); is {
				client.Ack(*event.Request)
				if message, is := data.InnerEvent.Data.(*slackevents.MessageEvent); is {
					fmt.Println("heard", message.Text)
				}
			}
		}
	}()
	end(client.Run())
}
