# modal: opened by a command, its select gets options from the Web API, a submission is refused, then
# accepted; what is posted notifies nobody
SLACK_APP_TOKEN=xapp-sandbox "$build/modal" >"$dir/out" 2>&1 &
bot=$!
printf '%s\n' /wait '/slash /report "It" rains \' >&3
sees 'opened a view: '
sees '"initial_value":"\"It\" rains \\"'
printf '%s\n' '/suggest channel gen' >&3
sees 'answers channel: 1 options: #general'
printf '%s\n' '/suggest channel nowhere' >&3
sees 'answers channel: 0 options'
printf '%s\n' '/submit report what.text="It rains into my room"' >&3
sees 'answers report: errors, where: Please choose a channel.'
printf '%s\n' '/submit report where.channel=C0SANDBOX what.text=short' >&3
sees 'answers report: errors, what: Please write 10 to 1,000 characters.'
printf '%s\n' '/submit report where.channel=C0SANDBOX what.text="It rains, <!channel> & all"' >&3
sees 'posted: Report of human: It rains, &lt;!channel&gt; &amp; all'
sees 'acknowledged report' 3

# modal: each of ten suggestions at once has a reply, and one after a failure
printf '%s\n' '/slash /report' >&3
sees 'opened a view: ' 2
for n in 1 2 3 4 5 6 7 8 9 10; do echo '/suggest channel gen' >&3; done
sees 'acknowledged channel' 12
printf '%s\n' '/fail conversations.list fatal_error' '/suggest channel gen' >&3
prints 'modal: conversations.list: '
sees 'acknowledged channel' 13
printf '%s\n' '/fail views.open invalid_arguments' '/slash /report' >&3
prints 'modal: views.open: '

# modal: of a text that is too long for the form, the beginning is in it
echo "/slash /report $(repeat 1001 z)" >&3
sees "\"initial_value\":\"$(repeat 1000 z)\""

# modal: characters are counted, not bytes; a channel is found in upper case, too
echo '/submit report where.channel=C0SANDBOX what.text="ééééé"' >&3
sees 'answers report: errors, what: Please write 10 to 1,000 characters.' 2
n=$(grep -c 'answers channel: 1 options: #general' "$dir/sandbox")
echo '/suggest channel GEN' >&3
sees 'answers channel: 1 options: #general' $((n + 1))

# modal: the form stays open if the report cannot be queued, here because many wait at a rate limit
does '/ratelimit chat.postMessage 60' '/slash /report'
sees 'opened a view: ' 4
for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do
    printf '/raw {"envelope_id":"E%s","type":"interactive","accepts_response_payload":true,' $n
    printf '"payload":{"type":"view_submission","view":{"callback_id":"report","state":{"values":{'
    printf '"where":{"channel":{"selected_option":{"value":"C0SANDBOX"}}},'
    printf '"what":{"text":{"value":"%s"}}}}}}}\n' "$(repeat 1000 '&')"
done >&3
prints 'modal: chat.postMessage: '
echo '/submit report where.channel=C0SANDBOX what.text="'"$(repeat 900 '&')"'"' >&3
sees 'answers report: errors, what: It cannot be posted now. Please try again later.'
echo "/slash /report $(repeat 1000 '"')" >&3
sees 'answers /report (only for you): Please try again later.'
kill $bot
wait $bot || fail "modal ends with $?"
bot=
ends 1 'set SLACK_API_TOKEN and SLACK_APP_TOKEN' env SLACK_APP_TOKEN= "$build/modal"
