package screen

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"culvert/aws"
	"culvert/tunnel"
	"culvert/tunnel/doctor"
	"culvert/ui/draw"
)

func TestUnknownIsNotZero(t *testing.T) {
	a := newTestApp(t, Options{}, 100, 30)
	a.here.identity, a.here.expires = aws.Identity{}, time.Time{}
	want(t, a, "account …", "as …", "signing in…")
	a.here.looking, a.here.catalog = true, &aws.Catalog{Clusters: []aws.Cluster{{Name: "shop"}}}
	a.grant(refreshed(a.here))
	for word := range strings.FieldsSeq(under(t, a)) {
		if word == "0" {
			t.Errorf("what was not read yet is 0:\n%s", shot(a))
		}
	}
	rows := func() string { return strings.Join(strings.Fields(shot(a)), " ") }
	if !strings.Contains(rows(), "shop … … … …") {
		t.Errorf("what was not read yet is known:\n%s", shot(a))
	}
	press(t, a, "enter")
	want(t, a, "shop › services …")
	press(t, a, "esc")
	// What may not be read stays unknown, what was read and is empty is 0.
	arrives(a, &aws.Catalog{Clusters: []aws.Cluster{{Name: "empty", Status: "ACTIVE"}, {Name: "shop"}}, Gaps: []error{denied("details of clusters", "shop")}})
	if got := rows(); !strings.Contains(got, "empty 0 0 0 active") || !strings.Contains(got, "shop – – – –") {
		t.Errorf("want 0 of what is empty, and nothing of what may not be read:\n%s", shot(a))
	}

	r := addRow(a, somewhere("127.0.0.1:3128"))
	if !strings.Contains(rows(), "● open … …") {
		t.Errorf("a rate that was not measured is known:\n%s", shot(a))
	}
	press(t, a, "t", "enter")
	want(t, a, "↓ …, 0 B", "↑ …, 0 B")
	flow(r, 3)
	wantNot(t, a, "↓ …")
}

// All tasks of a service may have ECS Exec off although it is on for the service: they were started before.
func TestExecThatIsOnAndOffForItsTasksSaysSo(t *testing.T) {
	c := crowd(3)
	for i := range c.Clusters[0].Tasks {
		c.Clusters[0].Tasks[i].ExecEnabled = false
	}
	a := visiting(t, c, 80, 24)
	press(t, a, "enter")
	want(t, a, "on, tasks off")
	press(t, a, "F")
	want(t, a, "ECS Exec is on for the service, and off for all 3 tasks of it", "› ")
	press(t, a, "esc")
	c.Clusters[0].Tasks[1].ExecEnabled = true
	arrives(a, c)
	wantNot(t, a, "tasks off")
}

func TestExpiredCredentialsAreSaidOnceInTheHeader(t *testing.T) {
	a := visiting(t, sampleAccount(), 120, 30)
	a.here.expires = time.Time{}
	want(t, a, "no expiry")
	expired := &aws.ExpiredError{Profile: "dev", Login: "aws sso login", Err: errors.New("token")}
	r := somewhere("127.0.0.1:3128")
	r.State, r.Err = tunnel.Reopening, fmt.Errorf("start session: %w", expired)
	addRow(a, r)
	settle(t, a, a.grant(a.here.looked(everything, nil, fmt.Errorf("list clusters: %w", expired))))
	for range 2 {
		want(t, a, "· expired", "run: aws sso login --profile dev")
		wantNot(t, a, "no expiry", "has expired")
		press(t, a, "t")
	}
}

func TestTheRegionIsShownWithoutCredentials(t *testing.T) {
	a := newTestApp(t, Options{}, 120, 30)
	a.here.region, a.here.identity = "", aws.Identity{}
	a.grant(a.here.looked(everything, nil, fmt.Errorf("connect: %w", &aws.UnopenedError{Region: "eu-north-1", Err: &aws.NoCredentialsError{}})))
	want(t, a, "region eu-north-1", "not signed in", "no AWS credentials found")
	a.examining.Add(1)
	defer a.examining.Done()
	e := examination{place: a.here, remote: tunnel.Endpoint{Port: 3128}}
	if got := e.subject(); got != "the sign-in of profile dev in eu-north-1" {
		t.Errorf("the doctor without a target is about %q", got)
	}
}

// refusals are connections through a proxy that let one host through and not another.
func refusals() []tunnel.Connection {
	at := start().Add(-time.Second)
	refusal := &tunnel.AnswerError{Protocol: tunnel.ProtocolHTTPConnect, Status: 403, Code: "ERR_ACCESS_DENIED", Host: "blocked.internal:443"}
	return []tunnel.Connection{
		{ID: 1, Started: at, Ended: start(), Protocol: tunnel.ProtocolHTTPConnect, Host: "blocked.internal:443", Status: 403, Refused: 1, Err: refusal},
		{ID: 2, Started: at, Protocol: tunnel.ProtocolHTTP, Host: "kept.internal", Status: 403, Refused: 3, Requests: 5},
		{ID: 3, Started: at, Ended: start(), Protocol: tunnel.ProtocolHTTP, Host: "web.internal:8080", Status: 404, Requests: 1},
		{ID: 4, Started: at, Ended: start(), Protocol: tunnel.ProtocolHTTP, Host: "127.0.0.1:3128", Status: 200, Requests: 1},
		{ID: 5, Started: at, Ended: start(), Protocol: tunnel.ProtocolHTTPConnect, Host: "plain.internal:80", Status: 200, Requests: 1},
		{ID: 6, Started: at, Ended: start(), Protocol: tunnel.ProtocolPostgres},
	}
}

func TestARefusalIsReadableAtEveryWidth(t *testing.T) {
	for w := 60; w <= 200; w += 5 {
		a := newTestApp(t, Options{}, w, 40)
		d := newDetail(a.look, a.tunnels, addRow(a, somewhere("127.0.0.1:3128")))
		a.grant(show(d))
		d.fill(refusals(), nil)
		if !strings.Contains(shot(a), "403 ERR_ACCESS_DENIED") {
			t.Errorf("at a width of %d it is cut:\n%s", w, shot(a))
		}
	}
}

func TestARefusedHostIsRedWithItsStatusAndCount(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {160, 50}} {
		a := newTestApp(t, Options{}, size[0], size[1])
		r := addRow(a, somewhere("127.0.0.1:3128"))
		d := newDetail(a.look, a.tunnels, r)
		a.grant(show(d))
		for _, c := range refusals() {
			if !c.Ended.IsZero() {
				r.hosts.end(c)
			}
		}
		d.fill(refusals(), nil)
		want(t, a, "STATUS", "403 ERR_ACCESS_DENIED", "403 Forbidden x3", "404", "done")
		golden(t, fmt.Sprintf("refused-%dx%d-connections", size[0], size[1]), shot(a))
		press(t, a, "v")
		want(t, a, "FAILED", "403 ERR_ACCESS_DENIED")
		golden(t, fmt.Sprintf("refused-%dx%d-hosts", size[0], size[1]), shot(a))

		red := func(columns []draw.Column[connectionRow], c tunnel.Connection, title string) bool {
			for _, column := range columns {
				if column.Title == title {
					return reflect.DeepEqual(column.Ink(connectionRow{Connection: c}), a.theme.Bad)
				}
			}
			t.Fatalf("no column %s", title)
			return false
		}
		for i, c := range refusals() {
			for _, title := range []string{"HOST", "STATUS"} {
				if got := red(d.connectionColumns(), c, title); got != (i < 2) {
					t.Errorf("connection %d: %s is red: %t", c.ID, title, got)
				}
			}
		}
		for _, column := range d.hostColumns() {
			if column.Title == "HOST" || column.Title == "FAILED" {
				if !reflect.DeepEqual(column.Ink(hostTotal{Failed: 1}), a.theme.Bad) || reflect.DeepEqual(column.Ink(hostTotal{}), a.theme.Bad) {
					t.Errorf("%s is not red of refused hosts alone", column.Title)
				}
			}
		}
	}
}

func TestTheDoctorIsAskedAboutTheHostUnderTheCursor(t *testing.T) {
	a := newTestApp(t, Options{}, 120, 40)
	r := addRow(a, somewhere("127.0.0.1:3128"))
	d := newDetail(a.look, a.tunnels, r)
	d.fill(refusals(), nil)
	for i, want := range []string{ // the newest first
		"", "http://plain.internal:80/", "", "http://web.internal:8080/", "http://kept.internal/", "https://blocked.internal:443/",
	} {
		d.connections.Move(i)
		got := ""
		if u := d.asked(); u != nil {
			got = u.String()
		}
		if got != want {
			t.Errorf("of connection %d the doctor would be asked about %q, want %q", 6-i, got, want)
		}
	}
	d.side = hostSheet
	d.hosts.MoveTo("kept.internal")
	if u := d.asked(); u == nil || u.String() != "http://kept.internal/" {
		t.Errorf("of the host the doctor would be asked about %v", u)
	}
	r.Spec.Remote = tunnel.Endpoint{Host: "web.internal", Port: 80} // no proxy: what it is asked for is its own end
	if u := d.asked(); u != nil {
		t.Errorf("behind a web server the doctor would be asked about %v", u)
	}
}

func TestTheDoctorAsksForAURLElsewhere(t *testing.T) {
	a := visiting(t, sampleAccount(), 80, 24)
	press(t, a, "enter", "G", "up")
	a.Update(pressed("d"))
	want(t, a, "doctor automation/squid → 3128", "URL to reach", "Which host cannot be reached?")
	typed(t, a, "ftp://x")
	a.Update(pressed("enter"))
	want(t, a, "✕", "is no destination for a probe", "https://HOST/")
	press(t, a, "ctrl+u")
	typed(t, a, "http://169.254.169.254/")
	a.Update(pressed("enter"))
	want(t, a, "link-local")
	wellFormed(t, a)
	press(t, a, "esc")
	wantNot(t, a, "Which host")
}

// The report is there when one comes back, as it was left, with its age.
func TestTheDoctorsReportIsKept(t *testing.T) {
	now := start()
	a := newTestApp(t, Options{Now: func() time.Time { return now }}, 100, 30)
	arrives(a, sampleAccount())
	q, remote := aws.Query{Cluster: "automation", Service: "squid"}, tunnel.Endpoint{Port: 3128}
	d := newDoctor(a.look, examination{ctx: t.Context(), under: &a.examining, place: a.here, query: q, remote: remote})
	d.arrived = &arrivals{}
	broken := doctor.Finding{Verdict: doctor.Fail, Err: &doctor.AdviceError{Problem: "broken"}}
	d.results = []doctor.Result{{Check: "region"}, {Check: "cluster"}, {Check: "port", Finding: broken}, {Check: "answer", Finding: broken}}
	d.done(&doctor.Report{At: now, Results: d.results})
	a.reports = []*doctorPage{d}
	a.grant(show(d))
	press(t, a, "v")
	if got := d.table.At(); got != "port" {
		t.Errorf("with all shown the cursor is on %s, want it to stay on port", got)
	}
	press(t, a, "j", "esc")
	wantNot(t, a, "Doctor")
	now = now.Add(90 * time.Second)
	a.Update(tickMsg{a.beat})
	a.grant(consult(a.here, q, remote))
	a.Update(tickMsg{a.beat})
	want(t, a, "Doctor  fails at port 1m30s ago", "automation/squid → 3128", "region", "cluster")
	if got := d.table.At(); got != "answer" || a.page() != screen(d) {
		t.Errorf("the report is not as it was left: cursor on %s", got)
	}
	press(t, a, "v")
	if got := d.table.At(); got != "answer" {
		t.Errorf("with less shown the cursor is on %s, want answer", got)
	}
	press(t, a, "!")
	want(t, a, "what failed", "! broken")
}

// longDenied lacks a statement that no window shows on a few lines.
func longDenied() error {
	statement := aws.Statement{Effect: "Allow", Action: []string{"ssm:StartSession"}}
	for i := range 30 {
		statement.Resource = append(statement.Resource, fmt.Sprintf("arn:aws:ecs:eu-west-1:111122223333:task/automation/%032d", i))
	}
	return fmt.Errorf("start session: %w", &aws.DeniedError{
		Action: "ssm:StartSession", Principal: "arn:aws:sts::111122223333:assumed-role/Developer/kim", Statement: statement, Err: errors.New("AccessDenied"),
	})
}

func TestAPolicyIsNeverCutAndCanBeReadWhole(t *testing.T) {
	a := newTestApp(t, Options{}, 80, 24)
	r := somewhere("127.0.0.1:3128")
	r.State, r.Err = tunnel.Failed, longDenied()
	addRow(a, r)
	want(t, a, "✕ failed: not allowed (t d)")
	wantNot(t, a, "start session")
	press(t, a, "t")
	want(t, a, "! start session: not allowed", "… (! shows all)")
	wantNot(t, a, `{"`, "(t d)")
	press(t, a, "enter") // the page about it tells it, the pane does not
	if n := strings.Count(shot(a), "start session"); n != 1 {
		t.Errorf("the failure is told %d times:\n%s", n, shot(a))
	}
	wantNot(t, a, `{"`, "(t d)")
	press(t, a, "!")
	want(t, a, "what failed", `{"Effect":"Allow"`, "more below")
	var read strings.Builder
	for range 40 {
		read.WriteString(shot(a))
		press(t, a, "down")
	}
	for i := range 30 {
		if number := fmt.Sprintf("%032d", i); !strings.Contains(strings.NewReplacer("\n", "", "┃", "", " ", "", "│", "").Replace(read.String()), number[20:]) {
			t.Errorf("resource %d cannot be read", i)
		}
	}
	wellFormed(t, a)
	press(t, a, "y")
	want(t, a, "sent the remedy to the terminal", `{"Effect":"Allow"`)
	press(t, a, "esc", "esc", "t", "x")
	want(t, a, "none open")
	press(t, a, "!")
	want(t, a, "nothing that is in sight has failed")
}

// rings counts the bells among what a command sends to the terminal.
func rings(cmd tea.Cmd) int {
	if cmd == nil {
		return 0
	}
	switch msg := cmd().(type) {
	case tea.BatchMsg:
		n := 0
		for _, c := range msg {
			n += rings(c)
		}
		return n
	case tea.RawMsg:
		return strings.Count(fmt.Sprint(msg.Msg), "\a")
	}
	return 0
}

func TestALostTunnelRingsAndStandsInTheTitle(t *testing.T) {
	for bell, want := range map[Bell][2]int{BellLost: {1, 0}, BellAll: {1, 1}, BellNever: {0, 0}} {
		now := start()
		a := newTestApp(t, Options{Bell: bell, Now: func() time.Time { return now }}, 100, 30)
		for i := range 3 {
			r := somewhere(fmt.Sprintf("127.0.0.1:%d", 3128+i))
			r.ID = tunnel.ID(i + 1)
			addRow(a, r)
		}
		event := func(id tunnel.ID, s tunnel.State, err error) int {
			now = now.Add(3 * time.Second)
			a.now = now
			return rings(a.grant(a.tunnels.event(a.here, tunnel.Event{Tunnel: id, State: s, At: now, Err: err})))
		}
		title := func(want string) {
			t.Helper()
			if got := a.View().WindowTitle; got != want {
				t.Errorf("the window's title is %q, want %q", got, want)
			}
		}
		event(1, tunnel.Open, nil)
		title("culvert ● 3")
		if got := event(1, tunnel.Resuming, errors.New("socket")); got != 0 {
			t.Errorf("a resume rang %d times", got)
		}
		event(1, tunnel.Open, nil)
		if got := event(1, tunnel.Reopening, &tunnel.EndedError{Session: "s-1"}); got != want[0] {
			t.Errorf("bell %d: a loss rang %d times, want %d", bell, got, want[0])
		}
		title("culvert ● 2 ✕ 1")
		if got := a.tunnels.ticker(); !strings.HasSuffix(got, " 127.0.0.1:3128 lost: session ended") {
			t.Errorf("the ticker says %q", got)
		}
		if got := event(1, tunnel.Open, nil); got != want[1] {
			t.Errorf("bell %d: the return rang %d times, want %d", bell, got, want[1])
		}
		title("culvert ● 3")
		if got := a.tunnels.ticker(); !strings.HasSuffix(got, " 127.0.0.1:3128 open again after 3s") {
			t.Errorf("the ticker says %q", got)
		}
		event(1, tunnel.Open, nil) // of its relay, for instance
		if got := a.tunnels.ticker(); !strings.HasSuffix(got, " 127.0.0.1:3128 open again after 3s") {
			t.Errorf("after an event of an open tunnel that stays open the ticker says %q", got)
		}
		a.tunnels.rows[0].asked = true // by R
		event(1, tunnel.Open, nil)
		if got := event(1, tunnel.Reopening, nil); got != 0 || !strings.HasSuffix(a.tunnels.ticker(), "reconnecting") {
			t.Errorf("a reconnect that was asked for rang %d times, the ticker says %q", got, a.tunnels.ticker())
		}
		event(2, tunnel.Open, nil)
		event(3, tunnel.Open, nil)
		if got := event(2, tunnel.Reopening, errors.New("x")) + rings(a.grant(a.tunnels.event(a.here, tunnel.Event{Tunnel: 3, State: tunnel.Reopening, At: now}))); got != want[0] {
			t.Errorf("bell %d: two at once rang %d times, want %d", bell, got, want[0])
		}
	}
	plain := newTestApp(t, Options{}, 80, 24)
	if got := plain.View().WindowTitle; got != "culvert" {
		t.Errorf("without tunnels the window's title is %q", got)
	}
}

func TestSuspendingWithTunnelsAsks(t *testing.T) {
	a := newTestApp(t, Options{}, 80, 24)
	suspends := func(cmd tea.Cmd) bool {
		if cmd == nil {
			return false
		}
		_, yes := cmd().(tea.SuspendMsg)
		return yes
	}
	if _, cmd := a.Update(pressed("ctrl+z")); !suspends(cmd) {
		t.Error("without tunnels ctrl+z does not suspend")
	}
	addRow(a, somewhere("127.0.0.1:3128"))
	if _, cmd := a.Update(pressed("ctrl+z")); suspends(cmd) {
		t.Error("with a tunnel ctrl+z suspends at once")
	}
	want(t, a, "One tunnel stands still until fg")
	press(t, a, "esc")
	wantNot(t, a, "until fg")
	addRow(a, somewhere("127.0.0.1:3129"))
	a.Update(pressed("ctrl+z"))
	want(t, a, "2 tunnels stand still until fg")
	if _, cmd := a.Update(pressed("ctrl+z")); !suspends(cmd) || a.dialog != nil {
		t.Error("ctrl+z again does not suspend")
	}
	a.Update(pressed("?"))
	if _, cmd := a.Update(pressed("ctrl+z")); suspends(cmd) {
		t.Error("in another dialog ctrl+z suspends at once")
	}
	a.Update(pressed("esc"))
	if _, ok := a.dialog.(*help); !ok {
		t.Errorf("after esc the dialog is %T, want the one of before", a.dialog)
	}
}
