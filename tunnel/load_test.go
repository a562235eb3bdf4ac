package tunnel

import (
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"culvert/aws"
)

// A session costs the user's container 25 MB, whether it takes connections or not.
func TestSessionsThatAreHeldUpCountAgainstTheCeiling(t *testing.T) {
	for _, c := range []struct {
		name                               string
		fixed, own, slow, fine, aside, old int
		wanted, memory                     int
		renewing                           bool
		want                               int
	}{
		{name: "the first", want: 1},
		{name: "enough", fine: 1},
		{name: "one that is held up is made up for", slow: 1, want: 1},
		{name: "as many as may be", slow: fewLanes},
		{name: "as many as may be where there is memory", slow: maxLanes, memory: roomyMemory},
		{name: "all that are wanted", fine: 1, wanted: 20, want: fewLanes - 1},
		{name: "all that are wanted, where there is memory", fine: 1, wanted: 20, memory: roomyMemory, want: maxLanes - 1},
		{name: "a little less memory", fine: 1, wanted: 20, memory: roomyMemory - 1, want: fewLanes - 1},
		{name: "no more than are wanted", fine: 2, wanted: 3, memory: 4096, want: 1},
		{name: "a fixed number", fixed: 4, fine: 1, want: 3},
		{name: "a fixed number, whatever the memory", fixed: 16, fine: 1, memory: 128, want: 15},
		{name: "a number of the tunnel's own", fixed: 4, own: 2, fine: 1, want: 1},
		{name: "a fixed number, all held up", fixed: 2, slow: 2},
		{name: "a single one that is held up", fixed: 1, slow: 1},
		{name: "those that see their connections out count", fixed: 3, fine: 1, aside: 2},
		{name: "the only one is being replaced", fixed: 1, aside: 1},
		{name: "a task that stops serves its connections to the end", fixed: 1, old: 1, want: 1},
		{name: "but no more than one beside them", fixed: 3, fine: 1, old: 3},
		{name: "room for the one that resolves the name anew", fixed: 4, fine: 2, renewing: true, want: 1},
		{name: "room for that one where the number adapts", fine: 2, wanted: 20, renewing: true, want: fewLanes - 3},
		{name: "no room beside a single one", fixed: 1, renewing: true, want: 1},
	} {
		r := &runner{
			Tunnel:   &Tunnel{engine: &Engine{options: Options{Lanes: c.fixed}}, spec: Spec{Lanes: c.own}, load: load{need: c.wanted}},
			sessions: c.slow + c.fine + c.aside + c.old, renewing: c.renewing, affords: aws.Room{Memory: c.memory},
		}
		for range c.slow {
			l := &lane{}
			l.slow.Store(true)
			r.lanes = append(r.lanes, l)
		}
		for range c.fine {
			r.lanes = append(r.lanes, &lane{})
		}
		for i := range c.aside + c.old {
			l := &lane{}
			l.draining.Store(true)
			l.leaving.Store(i >= c.aside)
			r.lanes = append(r.lanes, l)
		}
		if got := r.missing(); got != c.want {
			t.Errorf("%s: %d more are wanted, want %d", c.name, got, c.want)
		}
	}
}

// stood is the standing of a lane that carries many connections.
func stood(s standing) standing {
	c := newChannel(slog.New(slog.DiscardHandler), 1024, 0, nil)
	s.lane = &lane{channel: c, carrier: newMux(c)}
	return s
}

func TestWhoGetsWhichLane(t *testing.T) {
	const opening, step, sharing = 100 * time.Millisecond, 50 * time.Millisecond, 267 * time.Millisecond
	lanes := func(all ...standing) []standing { return all }
	for _, c := range []struct {
		name   string
		lanes  []standing
		coming int
		first  time.Duration
		silent bool
		waited time.Duration
		tasks  int
		count  int    // of connections, one unless it is set
		want   string // for each of them its lane, - for none, + for none as it holds out for one
	}{
		{name: "no lane takes connections", coming: 1, want: "-"},
		{name: "one that nobody uses", lanes: lanes(standing{}), coming: 7, want: "0"},
		{name: "idle connections do not count", lanes: lanes(standing{streams: 100}), coming: 7, silent: true, want: "0"},
		{name: "the one with the fewest", lanes: lanes(standing{streams: 2}, standing{streams: 1}), want: "1"},
		{name: "one that nobody uses beside one in use", lanes: lanes(standing{streams: 1, active: 1}, standing{streams: 9}), coming: 6, want: "1"},
		{name: "six at once, one lane", lanes: lanes(standing{}), coming: 7, count: 6, waited: 2 * freshFor, want: "0+++++"},
		{name: "what they are is not known yet", lanes: lanes(standing{}), coming: 7, count: 6, silent: true, want: "0-----"},
		{name: "nor whether the first is silent", lanes: lanes(standing{streams: 1, fresh: 1}), coming: 7, want: "-"},
		{name: "more than one is active in any case", lanes: lanes(standing{streams: 1, fresh: 1}), coming: 7, count: 4, want: "-+++"},
		{name: "unless they are silent", lanes: lanes(standing{streams: 1, fresh: 1}), coming: 7, count: 4, silent: true, want: "----"},
		{name: "no lane is opened for one that is silent", lanes: lanes(standing{streams: 1, active: 1}), coming: 7, silent: true, waited: hearWithin, want: "0"},
		{name: "but for one beside a download", lanes: lanes(standing{streams: 1, active: 1, pressed: true, bulk: true}), coming: 7, silent: true, waited: hearWithin, want: "+"},
		{name: "no lane is to come", lanes: lanes(standing{streams: 1, active: 1}), want: "0"},
		{name: "one that comes too late", lanes: lanes(standing{streams: 1, active: 1}), coming: 7, first: time.Second, want: "0"},
		{name: "which is worth it to many", lanes: lanes(standing{streams: 3, active: 3}), coming: 7, first: time.Second, want: "+"},
		{name: "but not for ever", lanes: lanes(standing{streams: 3, active: 3}), coming: 7, waited: mostPatience + 1, want: "0"},
		{name: "the least used where all are", lanes: lanes(standing{streams: 2, active: 2}, standing{streams: 1, active: 1}), want: "1"},
		{name: "rather small answers than a download", lanes: lanes(standing{streams: 1, active: 1, pressed: true, bulk: true}, standing{streams: 9, active: 9}), want: "1"},
		{name: "beside a download an empty one", lanes: lanes(standing{streams: 1, active: 1, bulk: true}, standing{streams: 1}, standing{}), want: "2"},
		{name: "a quiet one keeps its lane", lanes: lanes(standing{streams: 1, active: 1, bulk: true}, standing{streams: 1}), coming: 6, want: "+"},
		{name: "as far as there are others", lanes: lanes(standing{streams: 1, active: 1, bulk: true}, standing{streams: 1}), want: "1"},
		{name: "a crowd spreads itself", lanes: lanes(standing{}), coming: 1, count: 4, waited: 2 * freshFor, first: answerTime * 5 / 2, want: "0+00"},
		{name: "those that hold out fill the lanes to come", lanes: lanes(standing{}), coming: 1, count: 14, waited: 2 * freshFor, first: answerTime * 9 / 2, want: "0+00000+0+0+0+"},
		{name: "which are more on several tasks", lanes: lanes(standing{}), coming: 2, tasks: 2, count: 14, waited: 2 * freshFor, first: answerTime * 9 / 2, want: "0++00000+0++0+"},
		{name: "one at a time", lanes: lanes(standing{lane: &lane{carrier: &basic{}}, streams: 1, active: 1}), coming: 1, want: "+"},
	} {
		now := time.Now()
		all := slices.Clone(c.lanes)
		for i, s := range all {
			if s.lane == nil {
				all[i] = stood(s)
			}
		}
		var waiting []*arrival
		for range max(1, c.count) {
			w := &arrival{began: now.Add(-c.waited), placed: make(chan *lane, 1)}
			w.spoke.Store(!c.silent)
			waiting = append(waiting, w)
		}
		o := outlook{coming: c.coming, first: opening, spacing: step, tasks: c.tasks, wait: sharing * 3 / 2}
		if c.first > 0 {
			o.first = c.first
		}
		var holding []*arrival
		unsure := undecided(all)
		left, held := assign(slices.Clone(waiting), all, o, sharing, now)
		for _, w := range left { // who holds out of those that are left: they count one after the other
			if _, hold := settle(w, all, o, sharing, slices.ContainsFunc(all, func(s standing) bool { return s.bulk }), len(holding), unsure, now); hold {
				holding = append(holding, w)
			} else {
				unsure--
			}
		}
		if len(holding) != held {
			t.Errorf("%s: %d hold out for a lane, want %d", c.name, held, len(holding))
		}
		var got strings.Builder
		for _, w := range waiting {
			switch l := w.lane(); {
			case l != nil:
				got.WriteByte(byte('0' + slices.IndexFunc(all, func(s standing) bool { return s.lane == l })))
			case slices.Contains(holding, w):
				got.WriteByte('+')
			default:
				got.WriteByte('-')
			}
		}
		if got.String() != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got.String(), c.want)
		}
	}
}

func TestHowManyLanesAreWanted(t *testing.T) {
	start := time.Now()
	o := load{keep: keptFor, most: 8}
	at := func(minutes float64, holding int, lanes ...standing) int {
		o.weigh(lanes, holding, start.Add(time.Duration(minutes*float64(time.Minute))))
		return o.need
	}
	for _, c := range []struct {
		name    string
		minutes float64
		holding int
		lanes   []standing
		want    int
	}{
		{"nobody", 0, 0, []standing{{}}, 1},
		{"idle connections", 0, 0, []standing{{streams: 100}}, 1},
		{"one that is active", 0, 0, []standing{{streams: 100, active: 1}}, 1},
		{"two at the same time", 1, 1, []standing{{streams: 1, active: 1}}, 2},
		{"six", 1, 3, []standing{{streams: 2, active: 2}, {streams: 1, active: 1}}, 6},
		{"more than may be", 1, 100, []standing{{active: 1}}, 8},
		{"a download wants an empty one beside it", 2, 0, []standing{{streams: 1, active: 1, bulk: true}}, 2},
		{"and beside a quiet connection", 2, 0, []standing{{streams: 1, active: 1, bulk: true}, {streams: 1}}, 3},
		{"one within ten minutes: what is open is kept, nothing is opened", 11, 0, []standing{{streams: 1, active: 1}}, 1},
		{"nobody after that", 13, 0, []standing{{}}, 1},
		{"the next time all that were of use are opened with the first", 60, 0, []standing{{streams: 1, active: 1}}, 8},
		{"of which two were of use", 61, 0, []standing{{active: 1}, {active: 1}}, 8},
		{"the time after that there are two", 120, 0, []standing{{streams: 1, active: 1}}, 2},
		{"of which none was of use", 200, 0, []standing{{}}, 1},
		{"so there is one", 300, 0, []standing{{active: 1}}, 1},
	} {
		if got := at(c.minutes, c.holding, c.lanes...); got != c.want {
			t.Errorf("%s: %d lanes, want %d", c.name, got, c.want)
		}
	}
}

func TestSessionsSpreadOverTheTasks(t *testing.T) {
	peers := []aws.Target{{Task: "a"}, {Task: "b"}, {Task: "c"}}
	for _, c := range []struct {
		held    map[string]int
		shunned map[string]bool
		want    string
	}{
		{nil, nil, "abc"},
		{map[string]int{"a": 1}, nil, "bc"},
		{map[string]int{"a": 1, "b": 2, "c": 1}, nil, "ac"},
		{map[string]int{"a": 1, "b": 1}, map[string]bool{"c": true}, "ab"},
		{map[string]int{"a": 9, "b": 3, "c": 4}, map[string]bool{"a": true, "b": true, "c": true}, "b"},
		{map[string]int{"gone": 9}, map[string]bool{"gone": true}, "abc"},
	} {
		got := map[string]bool{}
		for range 100 {
			got[evenly(peers, c.held, c.shunned).Task] = true
		}
		for _, p := range peers {
			if got[p.Task] != strings.Contains(c.want, p.Task) {
				t.Errorf("with %v, %v shunned: chosen were %v, want %s", c.held, c.shunned, got, c.want)
			}
		}
	}
}

// An agent that has no more to say sends what it has, which is less than a message takes: that tells a download from an answer.
func TestADownloadIsKnownByItsFirst32KiBInARow(t *testing.T) {
	l := stood(standing{}).lane
	now := time.Now()
	m, ok := l.carrier.(*mux)
	if !ok {
		t.Fatal("the lane carries one connection at a time")
	}
	var streams []*stream
	for range 40 {
		s, err := m.add(now)
		if err != nil {
			t.Fatal(err)
		}
		streams = append(streams, s)
	}
	at := func(s *stream, size int) bool {
		now = now.Add(time.Millisecond)
		m.current = s
		m.push(make([]byte, size))
		return l.press(size, now)
	}
	send := func(size, times int) (known bool) {
		for range times {
			known = at(streams[0], size) || known
		}
		return known
	}
	for range 10 {
		for _, s := range streams {
			if at(s, 1024) {
				t.Fatal("many answers are taken for a download")
			}
		}
		now = now.Add(2 * rowPause)
	}
	if send(1024, 31) || send(1000, 1) || send(1024, 31) {
		t.Error("answers of 31 KiB are taken for a download")
	}
	now = now.Add(2 * rowPause)
	if send(1024, 31) {
		t.Error("an answer that came later is added to the one before")
	}
	if !send(1024, 1) {
		t.Error("32 KiB in a row are not known as a download")
	}
	if send(1024, 100) {
		t.Error("one download is reported twice")
	}
	if s := l.standing(now.Add(bulkFor - 1)); !s.bulk || s.pressed {
		t.Errorf("a moment later the lane stands as %+v", s)
	}
	if s := l.standing(now.Add(bulkFor)); s.bulk {
		t.Errorf("a second later the lane stands as %+v", s)
	}
}
