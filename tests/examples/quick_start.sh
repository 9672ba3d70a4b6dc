# quick_start: says what is wrong, and answers in both worlds
ends 1 'token is empty' env SLACK_API_TOKEN="" "$build/quick_start"
ends 1 'invalid_auth: check the token' env SLACK_API_TOKEN=wrong "$build/quick_start"
printf '%s\n' '/fail invalid_auth' '/link on' >&3
sees '/link: Socket Mode is on'
ends 1 'invalid_auth: check the token' env SLACK_APP_TOKEN=xapp-refused "$build/quick_start"
ends 1 "app_token is a bot or user token" env SLACK_APP_TOKEN=xoxb-sandbox "$build/quick_start"
for app in '' xapp-sandbox; do
    start
    if [ "$app" ]; then export SLACK_APP_TOKEN=$app; fi
    begin "$build/quick_start"
    printf '%s\n' /wait ping '/expect pong' >&3
    sees '/expect pong: seen'
    kill $bot; bot=
done
