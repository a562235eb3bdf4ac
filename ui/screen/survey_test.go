package screen

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"culvert/aws"
)

// sampleRoutes are destinations of every kind of standing, reached from the sample account.
func sampleRoutes() *aws.Routes {
	squid := aws.Way{Cluster: "automation", Service: "squid", Ready: 2}
	web := aws.Way{Cluster: "shop", Service: "web", Ready: 1, Named: true}
	unchecked := func(w aws.Way, why string, elsewhere bool) aws.Way {
		w.Verdict, w.Why, w.Elsewhere = aws.Unchecked, why, elsewhere
		return w
	}
	closed := func(w aws.Way) aws.Way {
		w.Verdict, w.Why = aws.NoRule, "no rule of sg-0a1b2c3d lets its tasks in"
		w.Missing = &aws.MissingRule{Group: "sg-0a1b2c3d", Peer: "sg-0e1f2031", Port: 6379}
		return w
	}
	named := []aws.NamedBy{
		{Cluster: "shop", Service: "web", Container: "app", Variable: "DATABASE_URL"}, {Cluster: "shop", Service: "web", Container: "app", Variable: "REPORTS_DSN"},
	}
	at := func(h aws.Host) aws.Host {
		h.VPC, h.Subnets, h.Groups = "vpc-0b1c2d3e", []string{"subnet-0a1b2c3d", "subnet-1a1b2c3d"}, []string{"sg-0a1b2c3d"}
		return h
	}
	r := &aws.Routes{Catalog: counted(sampleAccount())}
	add := func(h aws.Host, ways ...aws.Way) {
		r.Hosts.Hosts, r.Ways = append(r.Hosts.Hosts, h), append(r.Ways, ways)
	}
	add(aws.Host{Kind: aws.KindKafka, Name: "events", Role: "broker", Host: "b-1.events.kafka.eu-west-1.amazonaws.com", Port: 9094, Source: "kafka", VPC: "vpc-9"},
		unchecked(squid, "the host is in another VPC, vpc-9", true))
	add(aws.Host{Name: "legacy.internal", Host: "legacy.internal", Source: "environment", Mentions: named[1:]},
		unchecked(web, "where the host is was not said", false), unchecked(squid, "where the host is was not said", false))
	add(at(aws.Host{
		Kind: aws.KindPostgres, Name: "orders", Role: "writer", Host: "orders.cluster-c1x2.eu-west-1.rds.amazonaws.com", Port: 5432, Source: "rds", IAM: true,
		ARN: "arn:aws:rds:eu-west-1:111122223333:cluster:orders", Mentions: named,
	}), web, squid)
	add(at(aws.Host{Kind: aws.KindRedis, Name: "sessions", Role: "primary", Host: "sessions.c1x2.euw1.cache.amazonaws.com", Port: 6379, Source: "elasticache"}),
		closed(squid), closed(web))
	add(aws.Host{Kind: aws.KindSearch, Name: "lonely", Host: "vpc-lonely.eu-west-1.es.amazonaws.com", Port: 443, Source: "es"})
	r.Unread = []aws.NamedBy{{Cluster: "shop", Service: "web", Container: "app", Variable: "MONGO_URL", Secret: "prod/mongo"}}
	return r
}

// surveyed is the page of private hosts when all is known.
func surveyed(a *app, r *aws.Routes) {
	s := a.here.survey(aws.Target{})
	s.routes, s.judged, s.ended = r, true, a.now
	a.grant(privateHosts(s, ""))
}

// onHosts is that page in a window, with the cursor on a destination.
func onHosts(t *testing.T, o Options, r *aws.Routes, w, h int, name string) *app {
	t.Helper()
	a := newTestApp(t, o, w, h)
	arrives(a, sampleAccount())
	surveyed(a, r)
	p := a.page().(*hostsPage)
	for p.table.MoveTo(""); name != ""; {
		if l, _ := p.table.Row(); l.Name == name {
			break
		}
		before := p.table.Cursor()
		if press(t, a, "down"); p.table.Cursor() == before {
			t.Fatalf("there is no %s:\n%s", name, shot(a))
		}
	}
	return a
}

func TestGoldenHosts(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {200, 50}} {
		name := fmt.Sprintf("%dx%d", size[0], size[1])
		a := onHosts(t, Options{}, sampleRoutes(), size[0], size[1], "sessions")
		golden(t, "private-hosts-"+name, shot(a))
		press(t, a, "enter")
		golden(t, "private-host-closed-"+name, shot(a))
		press(t, a, "esc", "k", "i")
		golden(t, "private-host-open-"+name, shot(a))
	}
}

func TestHowADestinationStandsIsTold(t *testing.T) {
	a := onHosts(t, Options{}, sampleRoutes(), 200, 50, "")
	for _, c := range []struct{ name, row, below string }{
		{"events", "kafka · ◐ not checked · automation/squid · the host is in another VPC, vpc-9", "not checked: the host is in another VPC, vpc-9"},
		{"legacy.internal", "unknown · legacy.internal:? · ◐ not checked · shop/web +1", "its port is not known: F asks for it"},
		{"orders", "postgres · writer · ● admitted · shop/web +1 · rds", "named by DATABASE_URL of shop/web (app) and 1 more · takes IAM tokens"},
		{"sessions", "redis · primary · ✕ no rule · automation/squid", "let it in: aws ec2 authorize-security-group-ingress --group-id sg-0a1b2c3d"},
		{"lonely", "opensearch · ✕ no task", "no ready task through which lonely could be reached"},
		{"MONGO_URL", "unknown · set by secret prod/mongo · – not known", "culvert reads no secrets"},
	} {
		p := a.page().(*hostsPage)
		p.table.Move(0)
		for l, _ := p.table.Row(); l.Name != c.name; l, _ = p.table.Row() {
			press(t, a, "down")
		}
		line := under(t, a)
		for part := range strings.SplitSeq(c.row, " · ") {
			if !strings.Contains(line, part) {
				t.Errorf("the row of %s is %q, want %q in it", c.name, line, part)
			}
		}
		want(t, a, c.below)
	}
	press(t, a, "/")
	typed(t, a, "way:rule")
	want(t, a, "private hosts 1 of 6", "sessions")
	press(t, a, "esc", "/")
	typed(t, a, "elasticache")
	want(t, a, "1 of 6", "sessions")
	press(t, a, "esc", "o", "o", "o", "o", "o")
	want(t, a, "WAY↑")
	if line := strings.Split(shot(a), "\n")[3]; !strings.Contains(line, "admitted") {
		t.Errorf("the best way is not the first: %q", line)
	}
}

func TestCopyingADestinationTakesWhatIsUnderTheCursor(t *testing.T) {
	for _, c := range []struct {
		name string
		keys []string
		want string
	}{
		{"orders", nil, "orders.cluster-c1x2.eu-west-1.rds.amazonaws.com:5432"},
		{"legacy.internal", nil, "legacy.internal"},
		{"MONGO_URL", nil, "prod/mongo"},
		{"sessions", nil, "aws ec2 authorize-security-group-ingress --group-id sg-0a1b2c3d --ip-permissions 'IpProtocol=tcp,FromPort=6379,ToPort=6379,UserIdGroupPairs=[{GroupId=sg-0e1f2031}]'"},
		{"sessions", []string{"enter"}, "sessions.c1x2.euw1.cache.amazonaws.com:6379"},
		{"sessions", []string{"enter", "/", "e", "c", "2", "enter"}, "aws ec2 authorize-security-group-ingress --group-id sg-0a1b2c3d --ip-permissions 'IpProtocol=tcp,FromPort=6379,ToPort=6379,UserIdGroupPairs=[{GroupId=sg-0e1f2031}]'"},
		{"orders", []string{"enter", "/", "A", "R", "N", "enter"}, "arn:aws:rds:eu-west-1:111122223333:cluster:orders"},
		{"orders", []string{"enter", "G"}, "automation/squid"},
	} {
		a := onHosts(t, Options{}, sampleRoutes(), 250, 50, c.name)
		press(t, a, c.keys...)
		if got, want := sent(t, a, "y"), ansi.SetSystemClipboard(c.want); got != want {
			t.Errorf("%s %v: got %q for the terminal, want %q", c.name, c.keys, got, want)
		}
	}
	a := onHosts(t, Options{}, sampleRoutes(), 100, 40, "sessions")
	press(t, a, "enter", "/")
	typed(t, a, "terraform")
	press(t, a, "enter", "y")
	want(t, a, "sent the Terraform resource", `resource "aws_vpc_security_group_ingress_rule" "culvert" {`, `referenced_security_group_id = "sg-0e1f2031"`, "to_port           = 6379")

	a = onHosts(t, Options{}, sampleRoutes(), 100, 40, "orders")
	r := somewhere("127.0.0.1:15432")
	r.Spec.Remote.Host, r.Spec.Remote.Port = "orders.cluster-c1x2.eu-west-1.rds.amazonaws.com", 5432
	addRow(a, r)
	asKnown(a, "postgres")
	press(t, a, "y")
	want(t, a, "psql -h 127.0.0.1 -p 15432") // of the tunnel that leads there
}

func TestAForwardToADestinationIsFilledIn(t *testing.T) {
	a := onHosts(t, Options{}, sampleRoutes(), 100, 40, "orders")
	press(t, a, "F")
	want(t, a, "forward shop/web", "through       shop/web  admitted", "remote port   5432", "remote host   orders.cluster-c1x2.eu-west-1.rds.amazonaws.com")
	says(t, a, "--target shop/web -L ")
	says(t, a, ":orders.cluster-c1x2.eu-west-1.rds.amazonaws.com:5432")
	for range 2 {
		press(t, a, "up")
		if d := a.dialog.(*connect); d.fields()[d.at] == d.through {
			break
		}
	}
	press(t, a, "right")
	want(t, a, "forward automation/squid", "now 2 of 2", "▌ through       automation/squid", "remote port   5432", "remote host   orders.cluster-c1x2")
	says(t, a, "--target automation/squid -L ")
	press(t, a, "left")
	says(t, a, "--target shop/web -L ")

	a = onHosts(t, Options{}, sampleRoutes(), 100, 40, "orders")
	press(t, a, "enter", "G", "F") // on another way
	want(t, a, "forward automation/squid")
	says(t, a, "--target automation/squid -L ")

	a = onHosts(t, Options{}, sampleRoutes(), 100, 40, "legacy.internal")
	press(t, a, "F")
	want(t, a, "through       shop/web  not checked: where the host is was not said", "▌ remote port    a port", "a port is a number")
	typed(t, a, "8443")
	says(t, a, "8443:legacy.internal:8443")

	a = onHosts(t, Options{}, sampleRoutes(), 100, 40, "events") // one way: nothing to choose
	press(t, a, "F")
	want(t, a, "forward automation/squid", "remote port   9094")
	wantNot(t, a, "through   ")
}

func TestADestinationWithoutAWaySaysWhatIsMissing(t *testing.T) {
	for name, says := range map[string][]string{
		"sessions":  {"no way to sessions: automation/squid is the nearest, and no rule of sg-0a1b2c3d lets its tasks in", "let it in: aws ec2 authorize-security-group-ingress"},
		"lonely":    {"no ready task through which lonely could be reached", "culvert list tasks"},
		"MONGO_URL": {"MONGO_URL is set by secret prod/mongo: which host it names is not known"},
	} {
		a := onHosts(t, Options{}, sampleRoutes(), 160, 40, name)
		press(t, a, "F")
		want(t, a, says...)
		if a.dialog != nil {
			t.Errorf("%s: a dialog was opened", name)
		}
		press(t, a, "enter", "F")
		want(t, a, says...)
		if a.dialog != nil {
			t.Errorf("%s: a dialog was opened", name)
		}
	}
	a := onHosts(t, Options{ReadOnly: true}, sampleRoutes(), 160, 40, "orders")
	press(t, a, "F")
	want(t, a, "runs with --read-only")
}

func TestHostsOfAPartAreThoseThatConcernIt(t *testing.T) {
	for _, c := range []struct {
		keys []string
		part aws.Target
	}{
		{nil, aws.Target{}}, {[]string{"0"}, aws.Target{}},
		{[]string{"enter"}, aws.Target{Cluster: "automation"}},
		{[]string{"enter", "G", "up", "enter"}, aws.Target{Cluster: "automation", Service: "squid"}},
		{[]string{"enter", "G", "up", "enter", "enter"}, aws.Target{Cluster: "automation", Service: "squid"}},
		{[]string{"enter", "G", "enter"}, aws.Target{Cluster: "automation"}}, // tasks of no service
	} {
		a := visiting(t, sampleAccount(), 160, 50)
		press(t, a, c.keys...)
		press(t, a, "H")
		p, ok := a.page().(*hostsPage)
		if !ok || p.survey.part != c.part {
			t.Fatalf("%v, then H: got %+v, want the hosts of %+v", c.keys, p, c.part)
		}
		p.survey.routes, p.survey.judged, p.survey.ended = sampleRoutes(), true, a.now
		a.Update(tickMsg{a.beat})
		if c.part.Cluster == "" {
			want(t, a, "━ private hosts 6 ━", "events")
			continue
		}
		want(t, a, "automation › ", "private hosts 4", "0 whole account") // none that are in another VPC, or out of every task's reach
		wantNot(t, a, "events", "lonely")
		press(t, a, "H", "0")
		want(t, a, "━ private hosts ━")
		press(t, a, "esc")
		if a.page() != screen(a.browse) {
			t.Errorf("%v: esc leads to %T, want the browser", c.keys, a.page())
		}
	}
}

// Nothing that is missing is silently nothing.
func TestWhatMayNotBeListedIsNamed(t *testing.T) {
	lacks := func(what, action string) error {
		return &aws.GapError{What: what, Err: &aws.DeniedError{Action: action, Principal: "arn:aws:iam::111122223333:user/kim", Statement: aws.Statement{Effect: "Allow", Action: []string{action}, Resource: []string{"*"}}, Err: errors.New("AccessDenied")}}
	}
	r := sampleRoutes()
	r.Gaps = []error{lacks("databases", "rds:DescribeDBInstances")}
	a := onHosts(t, Options{}, r, 100, 30, "orders")
	want(t, a, "list databases: not allowed: rds:DescribeDBInstances", "orders")
	r.Gaps = append(r.Gaps, lacks("caches", "elasticache:DescribeCacheClusters"), &aws.GapError{What: "message brokers", Err: errors.New("the connection\x1b[2J was reset")})
	want(t, a, "not listed: databases (rds:DescribeDBInstances), caches (elasticache:DescribeCacheClusters),", "message brokers (the connection\\x1b[2J was reset)", "(! shows all)")
	for i := range 11 {
		r.Gaps = append(r.Gaps, lacks(fmt.Sprintf("things %d", i), fmt.Sprintf("service-%d:ListEverything", i)))
	}
	for _, size := range [][2]int{{60, 15}, {80, 24}, {200, 50}} {
		a.Update(tea.WindowSizeMsg{Width: size[0], Height: size[1]})
		want(t, a, "not listed: databases (rds:DescribeDBInstances)", "(! shows all)", "orders")
		wellFormed(t, a)
	}
	a.Update(tea.WindowSizeMsg{Width: 100, Height: 100})
	press(t, a, "!")
	for i := range 11 {
		want(t, a, fmt.Sprintf("service-%d:ListEverything", i))
	}
	press(t, a, "esc")

	none := &aws.Routes{Catalog: counted(sampleAccount()), Hosts: aws.Hosts{Gaps: r.Gaps}}
	a = onHosts(t, Options{}, none, 80, 24, "")
	want(t, a, "Nothing private is named or listed here.", "not listed: databases")
	a = onHosts(t, Options{}, &aws.Routes{Catalog: counted(sampleAccount())}, 80, 24, "")
	want(t, a, "Nothing private is named or listed here.", "ctrl+r look again")
}

// While ways are not judged the rows are there, and say so; a key about a way waits for it.
func TestRowsComeBeforeTheirWays(t *testing.T) {
	whole := sampleRoutes()
	partly := &aws.Routes{Catalog: &aws.Catalog{}, Hosts: aws.Hosts{Hosts: whole.Hosts.Hosts[1:3]}, Ways: make([][]aws.Way, 2)}
	open := func(t *testing.T) (*app, *survey) {
		t.Helper()
		a := visiting(t, sampleAccount(), 120, 40)
		press(t, a, "H")
		s := a.page().(*hostsPage).survey
		s.looking = true
		want(t, a, "looking for what task definitions name, and for what the account has", " looking ━")
		return a, s
	}
	comes := func(t *testing.T, a *app, s *survey, r *aws.Routes) {
		t.Helper()
		s.arrived.Store(r)
		_, cmd := a.Update(tickMsg{a.beat})
		_ = cmd // the next tick
	}
	ends := func(t *testing.T, a *app, s *survey, r *aws.Routes, err error) {
		t.Helper()
		a.grant(s.looked(r, err))
		a.Update(tickMsg{a.beat})
	}
	t.Run("rows first", func(t *testing.T) {
		a, s := open(t)
		comes(t, a, s, partly)
		want(t, a, "private hosts 2", "legacy.internal", "orders", "… looking", " looking ━")
		ends(t, a, s, whole, nil)
		want(t, a, "private hosts 6", "● admitted", "as of")
		wantNot(t, a, "… looking")
		if line := under(t, a); !strings.Contains(line, "events") {
			t.Errorf("the cursor of somebody who has touched nothing is on %q, want the first row", line)
		}
	})
	t.Run("a key between the end of the look and the next look of the page at it", func(t *testing.T) {
		a, s := open(t)
		comes(t, a, s, partly)
		press(t, a, "down")
		a.grant(s.looked(whole, nil))
		press(t, a, "F")
		want(t, a, "forward shop/web")
		wantNot(t, a, "no ready task")
	})
	t.Run("a key for a row in sight", func(t *testing.T) {
		a, s := open(t)
		comes(t, a, s, partly)
		press(t, a, "down", "F")
		want(t, a, "F waits until it is known which ways lead there; esc forgets it")
		ends(t, a, s, whole, nil)
		want(t, a, "forward shop/web", "remote host   orders.cluster")
	})
	t.Run("a key for the row that is the first so far", func(t *testing.T) {
		a, s := open(t)
		comes(t, a, s, partly)
		press(t, a, "F")
		ends(t, a, s, whole, nil) // events is the first by now
		want(t, a, "forward shop/web", "remote host   legacy.internal")
	})
	t.Run("keys for a row to come", func(t *testing.T) {
		a, s := open(t)
		press(t, a, "down", "down", "F", "ctrl+u", "9")
		comes(t, a, s, partly)
		ends(t, a, s, whole, nil)
		want(t, a, "forward shop/web", "remote host   orders.cluster", "remote port   9")
	})
	t.Run("forgotten", func(t *testing.T) {
		a, s := open(t)
		comes(t, a, s, partly)
		press(t, a, "F", "esc")
		want(t, a, "private hosts 2", "forgotten")
		ends(t, a, s, whole, nil)
		if a.dialog != nil {
			t.Error("what was taken back opened a dialog")
		}
	})
	t.Run("a user who is elsewhere by then", func(t *testing.T) {
		a, s := open(t)
		comes(t, a, s, partly)
		press(t, a, "F")
		a.below = true
		ends(t, a, s, whole, nil)
		if a.dialog != nil {
			t.Error("a dialog was opened over the tunnels")
		}
		wantNot(t, a, "F forwards to") // nor is it taken for a key of theirs
	})
	t.Run("it fails", func(t *testing.T) {
		a, s := open(t)
		comes(t, a, s, partly)
		ends(t, a, s, nil, denied("clusters", "automation"))
		want(t, a, "list clusters of cluster automation: not allowed", "– not known", "legacy.internal")
		press(t, a, "F")
		want(t, a, "! list clusters of cluster automation: not allowed")
		if a.dialog != nil {
			t.Error("a dialog was opened for a way that nobody knows")
		}
	})
	t.Run("again", func(t *testing.T) {
		a, s := open(t)
		ends(t, a, s, whole, nil)
		s.looking = true
		comes(t, a, s, partly)
		want(t, a, "private hosts 6", "● admitted", " looking ━") // what was known is better than a part of it
		ends(t, a, s, nil, denied("clusters", "automation"))
		want(t, a, "private hosts 6", "● admitted", "list clusters of cluster automation: not allowed")
	})
}

func TestAnotherAccountHasOtherHosts(t *testing.T) {
	a := visiting(t, sampleAccount(), 120, 40)
	press(t, a, "enter", "H")
	first := a.page().(*hostsPage).survey
	first.routes, first.judged, first.ended = sampleRoutes(), true, a.now
	a.Update(tickMsg{a.beat})
	want(t, a, "automation › private hosts 4")
	a.places = append(a.places, &place{of: a.accounts, profile: "prod", region: "eu-west-1", looking: true})
	a.grant(goTo("prod", "eu-west-1"))
	want(t, a, "━ private hosts ━", "signing in")
	wantNot(t, a, "orders")
	press(t, a, "F") // there is no row
	a.here.trouble = errors.New("no such profile")
	want(t, a, "! no such profile")
	a.grant(goTo("dev", "eu-west-1"))
	want(t, a, "━ private hosts ━")
	press(t, a, "esc", "enter", "H")
	want(t, a, "automation › private hosts 4", "as of")
}

func TestKnownDestinationsAreFoundInTheJump(t *testing.T) {
	a := visiting(t, sampleAccount(), 110, 34)
	press(t, a, ":")
	typed(t, a, "sessions")
	wantNot(t, a, "redis")
	press(t, a, "esc")
	surveyed(a, sampleRoutes())
	part := a.here.survey(aws.Target{Cluster: "automation"})
	part.routes, part.judged = sampleRoutes(), true
	press(t, a, "esc", ":")
	typed(t, a, "kind:host")
	want(t, a, " 5 of ") // each once, and none that only a secret knows
	press(t, a, "ctrl+u")
	typed(t, a, "sessions")
	want(t, a, "sessions/primary", "host     redis sessions.c1x2.euw1")
	press(t, a, "enter")
	if line := under(t, a); !strings.Contains(line, "sessions") {
		t.Errorf("the jump leads to %q", line)
	}
	press(t, a, ":")
	typed(t, a, "private hosts")
	want(t, a, "key      H")
}

// hostile are n destinations whose names and networks are a stranger's.
func hostile(n int) *aws.Routes {
	names := []string{
		strings.Repeat("a-very-long-name-", 18), "evil\x1b[31m\x1b]0;title\x07\nsecond", "right\u202eleft", "データ基盤-パイプライン", "emoji-\U0001f469\u200d\U0001f4bb", "\xff\xfe", "plain",
	}
	r := &aws.Routes{Catalog: counted(sampleAccount())}
	for i := range n {
		name := names[i%len(names)]
		w := aws.Way{Cluster: name, Service: name, Ready: 1, Verdict: aws.Verdict(i % 3), Why: name}
		if w.Verdict == aws.NoRule {
			w.Missing = &aws.MissingRule{Group: name, Peer: name, Port: 443}
		}
		r.Hosts.Hosts = append(r.Hosts.Hosts, aws.Host{
			Kind: aws.HostKind(name), Name: fmt.Sprintf("%s-%d", name, i), Role: name, Host: strings.Repeat("x", 60) + fmt.Sprintf(".%d.internal", i), Port: uint16(i%3) * 443,
			Source: name, ARN: name, VPC: name, Subnets: []string{name}, Groups: []string{name}, Mentions: []aws.NamedBy{{Cluster: name, Service: name, Container: name, Variable: name}},
		})
		r.Ways = append(r.Ways, []aws.Way{w, w})
	}
	r.Unread = []aws.NamedBy{{Cluster: names[1], Service: names[2], Container: names[1], Variable: names[1], Secret: names[2]}}
	r.Gaps = []error{&aws.GapError{What: names[1], Err: errors.New(names[2])}, &aws.GapError{What: names[2], Err: errors.New(names[1])}}
	return r
}

func TestHostileDestinationsKeepEveryScreenWhole(t *testing.T) {
	for _, n := range []int{7, 5_000} {
		a := visiting(t, sampleAccount(), 100, 30)
		surveyed(a, hostile(n))
		for row := range 7 {
			for _, size := range [][2]int{{60, 15}, {80, 24}, {200, 50}, {400, 100}}[row%3:] {
				a.Update(tea.WindowSizeMsg{Width: size[0], Height: size[1]})
				wellFormed(t, a)
				press(t, a, "enter", "G", "up")
				wellFormed(t, a)
				press(t, a, "g", "down", "down")
				wellFormed(t, a)
				press(t, a, "F")
				wellFormed(t, a)
				press(t, a, "esc")
				if _, one := a.page().(*hostPage); one {
					press(t, a, "esc")
				}
			}
			press(t, a, "down")
		}
		press(t, a, "G", "enter") // the variable of a secret
		wellFormed(t, a)
		want(t, a, `secret right\u202eleft`)
	}
}

// A thousand destinations are drawn like ten, and what is typed is answered at once.
func TestAThousandPrivateHostsAreDrawnQuicklyEnough(t *testing.T) {
	if testing.Short() || raceDetector {
		t.Skip("timings mean nothing with -race, and take too long with -short")
	}
	a := visiting(t, sampleAccount(), 200, 50)
	surveyed(a, hostile(1_000))
	want(t, a, "of 1,001")
	draw := best(50, func() { a.View() })
	tick := best(50, func() { a.Update(tickMsg{a.beat}); a.View() })
	t.Logf("a draw of 1,000 destinations took %s, a tick %s", draw, tick)
	if draw > 3*time.Millisecond || tick > 3*time.Millisecond {
		t.Errorf("a draw of 1,000 destinations took %s, with a tick %s, want 3 ms at the most", draw, tick)
	}
	for _, keys := range [][]string{{"j", "k"}, {"ctrl+f", "ctrl+b"}, {"G", "g"}, {"/", "p", "l", "backspace", "backspace", "enter"}, {"o", "o", "o", "o", "o", "o", "o", "o", "o"}} {
		shortest := slices.Repeat([]time.Duration{time.Hour}, len(keys))
		for range 10 {
			for i, key := range keys {
				shortest[i] = min(shortest[i], best(1, func() { a.Update(pressed(key)); a.View() }))
			}
		}
		t.Logf("keys %s: %s", keys, shortest)
		if slowest := slices.Max(shortest); slowest > 5*time.Millisecond {
			t.Errorf("one of the keys %s on 1,000 destinations took %s, want 5 ms at the most", keys, slowest)
		}
	}
}
