package tunnel

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"culvert/aws/wire"
)

var quietLog = slog.New(slog.DiscardHandler)

func TestSizesSurviveTheProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "sizes.json")
	now := time.Now()
	s := OpenSizes(path, quietLog)
	other := OpenSizes(path, quietLog)
	s.good("here", 4096, now)
	s.bad("here", 8192, now)
	s.save(quietLog)
	other.good("there", 2048, now)
	other.save(quietLog)
	s = OpenSizes(path, quietLog)
	if good, bad := s.at("here", now); good != 4096 || bad != 8192 {
		t.Errorf("got %d good and %d bad, want 4096 and 8192", good, bad)
	}
	if good, _ := s.at("there", now); good != 2048 {
		t.Errorf("got %d of another process, want 2048", good)
	}
	if good, bad := s.at("elsewhere", now); good != 0 || bad != 0 {
		t.Errorf("got %d, %d of a service that nothing is known of", good, bad)
	}
	s.bad("here", 2048, now)
	if good, bad := s.at("here", now); good != 0 || bad != 2048 {
		t.Errorf("got %d good and %d bad after 2048 was refused", good, bad)
	}
	if good, bad := s.at("here", now.Add(8*24*time.Hour)); good != 0 || bad != 0 {
		t.Errorf("got %d, %d after eight days, want that it is forgotten", good, bad)
	}
	s.good("here", 16384, now.Add(8*24*time.Hour))
	if good, bad := s.at("here", now.Add(8*24*time.Hour)); good != 16384 || bad != 0 {
		t.Errorf("got %d, %d, want what was refused eight days ago forgotten", good, bad)
	}
}

func TestTheFileOfSizesIsBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sizes.json")
	s := OpenSizes(path, quietLog)
	now := time.Now()
	for i := range 3 * sizesKept {
		s.good(fmt.Sprint(i), 2048, now.Add(time.Duration(i)*time.Second))
		s.save(quietLog)
	}
	s.good(strings.Repeat("x", serviceLength+1), 2048, now)
	s.save(quietLog)
	if s = OpenSizes(path, quietLog); len(s.known) != sizesKept {
		t.Errorf("%d services are remembered, want %d", len(s.known), sizesKept)
	}
	if good, _ := s.at(fmt.Sprint(3*sizesKept-1), now); good != 2048 {
		t.Error("the latest is not among them")
	}
}

func TestHostileFilesOfSizesAreIgnored(t *testing.T) {
	now := time.Now().Format(time.RFC3339)
	for name, body := range map[string]string{
		"no JSON":             "{",
		"another form":        `{"place":"here"}`,
		"a size of any kind":  `[{"place":"here","good":1048576,"at":"` + now + `"}]`,
		"negative":            `[{"place":"here","good":-2048,"at":"` + now + `"}]`,
		"no step":             `[{"place":"here","bad":1025,"at":"` + now + `"}]`,
		"below the usual one": `[{"place":"here","good":512,"at":"` + now + `"}]`,
		"good and bad":        `[{"place":"here","good":8192,"bad":4096,"at":"` + now + `"}]`,
		"from the future":     `[{"place":"here","good":8192,"at":"2999-01-01T00:00:00Z"}]`,
		"old":                 `[{"place":"here","bad":2048,"at":"2020-01-01T00:00:00Z"}]`,
		"too long":            `[{"place":"here","good":8192,"at":"` + now + `"}]` + strings.Repeat(" ", sizesBytes),
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "sizes.json")
			if err := os.WriteFile(path, []byte(body), 0o600); err != nil {
				t.Fatal(err)
			}
			s := OpenSizes(path, quietLog)
			if good, bad := s.at("here", time.Now()); good != 0 || bad != 0 {
				t.Errorf("got %d, %d", good, bad)
			}
			s.good("here", 4096, time.Now())
			s.save(quietLog)
			if good, _ := OpenSizes(path, quietLog).at("here", time.Now()); good != 4096 {
				t.Errorf("got %d from the file that replaced it, want 4096", good)
			}
		})
	}
}

func TestFilesOfSizesThatOthersMayWriteAreNotRead(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the system keeps others out")
	}
	body, err := json.Marshal([]sizeOf{{Service: "here", Good: 4096, At: time.Now()}})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "sizes.json")
	if err := os.WriteFile(path, body, 0o600); err != nil {
		t.Fatal(err)
	}
	if good, _ := OpenSizes(path, quietLog).at("here", time.Now()); good != 4096 {
		t.Fatalf("got %d from a file of our own, want 4096", good)
	}
	link := filepath.Join(t.TempDir(), "link.json")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if good, _ := OpenSizes(link, quietLog).at("here", time.Now()); good != 0 {
		t.Errorf("got %d through a link", good)
	}
	s := OpenSizes(link, quietLog)
	s.bad("here", 2048, time.Now())
	s.save(quietLog)
	if good, _ := OpenSizes(path, quietLog).at("here", time.Now()); good != 4096 {
		t.Error("what the link leads to was overwritten")
	}
	if err := os.Chmod(path, 0o606); err != nil {
		t.Fatal(err)
	}
	if good, _ := OpenSizes(path, quietLog).at("here", time.Now()); good != 0 {
		t.Errorf("got %d from a file that everybody may write", good)
	}
	var nowhere *Sizes
	nowhere.save(quietLog)
}

// The service is slow to close the socket over a probe, which was sent again in its short form meanwhile: the probe is meant, not
// the data of a proved size beside it. On the next socket nothing but the data can be.
func TestAProbeIsMeantAlsoWhenItWasShortenedMeanwhile(t *testing.T) {
	now := time.Now()
	z := newSizer(DefaultMessageSize)
	z.sizes, z.trying = &Sizes{}, 4096
	z.probe = &outgoing{sequence: 1, frame: make([]byte, 4096), shorter: make([]byte, 100), firstSent: now, lastSent: now, tries: 1}
	data := &outgoing{sequence: 2, frame: make([]byte, 2048), firstSent: now, lastSent: now, tries: 1}
	z.again(z.probe, now, now)
	z.tooBig([]*outgoing{z.probe, data}, now)
	if z.bad != 4096 || z.refused != 0 {
		t.Errorf("%d is refused for the probe and %d for the data, want 4096 and 0", z.bad, z.refused)
	}
	z.attached(z.probe, false, now)
	z.tooBig([]*outgoing{z.probe, data}, now)
	if z.refused == 0 {
		t.Error("the next socket was closed over nothing")
	}
}

// A probe that an earlier socket was given does not explain why a later one is closed, whether it has been shortened on the later
// one or waits to be: only data of a proved size can.
func TestAProbeOfAnEarlierSocketIsNotMeant(t *testing.T) {
	now := time.Now()
	for written, meant := range []bool{false, true, true} {
		z := newSizer(DefaultMessageSize)
		z.sizes, z.size, z.trying = &Sizes{}, 2048, 4096
		z.probe = &outgoing{sequence: 1, frame: make([]byte, 4096), shorter: make([]byte, 100)}
		data := &outgoing{sequence: 0, frame: make([]byte, 2048)}
		s := &sender{window: newWindow(), sizer: z}
		s.queue([]*outgoing{data, z.probe})
		s.collect(nil, now)
		s.rewind(now)
		for range written { // the data first
			s.take(s.pick(), now)
		}
		z.tooBig(s.unacked[:s.unsent], now)
		if z.bad == 4096 || z.refused > 0 != meant {
			t.Errorf("with %d messages written, %d is refused for the probe and %d for the data; want that the data is meant: %t", written, z.bad, z.refused, meant)
		}
	}
}

// A message of data is never sent again but as it was, however it got lost; when it is certain that it is too large, the session
// is given up, and for no other loss.
func TestDataIsNeverShortened(t *testing.T) {
	now := time.Now()
	for name, c := range map[string]struct {
		lose    func(*sizer, *outgoing)
		refused bool
	}{
		"closed without an acknowledge": {func(z *sizer, o *outgoing) { z.attached(o, false, now) }, true},
		"closed after an acknowledge":   {func(z *sizer, o *outgoing) { z.attached(o, true, now) }, false},
		"overtaken by smaller ones":     {func(z *sizer, o *outgoing) { z.again(o, now.Add(time.Hour), now) }, true},
		"overtaken by others as large": {func(z *sizer, o *outgoing) {
			z.acknowledged(&outgoing{sequence: 2, frame: make([]byte, 9000), tries: 1}, now)
			z.again(o, now.Add(time.Hour), now)
		}, false},
		"never acknowledged, as nothing is": {func(z *sizer, o *outgoing) { z.again(o, now.Add(-time.Hour), now) }, false},
		"the service says so":               {func(z *sizer, o *outgoing) { z.tooBig([]*outgoing{o}, now) }, true},
		"a socket closed that was not given it": {func(z *sizer, o *outgoing) {
			o.lastSent = time.Time{}
			z.attached(o, false, now)
		}, false},
		"others were acknowledged before the socket was given it": {func(z *sizer, o *outgoing) {
			o.lastSent = time.Time{}
			z.again(o, now, now)
		}, false},
		"the service says so before the socket was given it": {func(z *sizer, o *outgoing) {
			o.lastSent = time.Time{}
			z.tooBig([]*outgoing{o}, now)
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			z := newSizer(DefaultMessageSize)
			z.sizes = &Sizes{}
			z.room.Store(8192)
			data := &outgoing{sequence: 1, frame: make([]byte, 9000), firstSent: now, lastSent: now, tries: 1}
			for range 20 {
				c.lose(z, data)
				data.tries++
			}
			if len(data.frame) != 9000 {
				t.Errorf("the message has %d bytes", len(data.frame))
			}
			if z.refused > 0 != c.refused {
				t.Errorf("refused is %d, want it to be given up: %t", z.refused, c.refused)
			}
		})
	}
}

// A size that was refused here is not tried again, nor one beyond it; what was proved before is tried at once.
func TestWhichSizeIsTriedNext(t *testing.T) {
	now := time.Now()
	const window = 64 << 10
	for _, c := range []struct {
		name            string
		step, clean     int
		refused         int // in this session
		good, bad       int // at this place
		lost            int
		quiet, underWay bool
		want            int
	}{
		{name: "the double of what goes through", step: 1024, clean: window, want: 2048},
		{name: "not before a window has been acknowledged", step: 1024, clean: window - 1},
		{name: "what was proved here is tried with the first word", step: 1024, clean: 1, good: 8192, want: 8192},
		{name: "but with none there is no try", step: 1024, good: 8192},
		{name: "nor is it when it was lost", step: 1024, clean: 1, good: 8192, lost: 1},
		{name: "it is less than the double", step: 4096, clean: 1, good: 4096},
		{name: "the double was refused in this session", step: 1024, clean: window, refused: 2048},
		{name: "less was refused in this session", step: 1024, clean: window, refused: 2000},
		{name: "more was refused in this session", step: 1024, clean: window, refused: 2049, want: 2048},
		{name: "the double was refused here", step: 1024, clean: window, bad: 2048},
		{name: "more was refused here", step: 1024, clean: window, bad: 2049, want: 2048},
		{name: "the most that there is", step: mostAutoSize, clean: window},
		{name: "a rest is kept", step: 1024, clean: window, quiet: true},
		{name: "one is under way", step: 1024, clean: window, underWay: true},
	} {
		z := newSizer(1024)
		z.sizes, z.service, z.size, z.clean, z.bad, z.lost = &Sizes{}, "here", c.step, c.clean, c.refused, c.lost
		if c.good > 0 {
			z.sizes.good("here", c.good, now)
		}
		if c.bad > 0 {
			z.sizes.bad("here", c.bad, now)
		}
		if c.quiet {
			z.quietly = now.Add(1)
		}
		if c.underWay {
			z.probe = &outgoing{}
		}
		if got := z.next(window, now); got != c.want {
			t.Errorf("%s: tries %d, want %d", c.name, got, c.want)
		}
	}
	if got := newSizer(1024).next(window, now); got != 0 {
		t.Errorf("tries %d where the size is fixed", got)
	}
}

// A message is large when it is larger than those that go out anyway, which the service takes in any case: the loss of another
// one says nothing of the size.
func TestWhichMessagesAreLarge(t *testing.T) {
	z := newSizer(1024)
	frame := make([]byte, 1024+wire.Overhead+1)
	if z.large(&outgoing{frame: frame}) {
		t.Error("one is large where the size is fixed")
	}
	z.sizes = &Sizes{}
	if !z.large(&outgoing{frame: frame}) {
		t.Error("one with a byte more is not large")
	}
	if z.large(&outgoing{frame: frame[1:]}) {
		t.Error("one of the usual size is large")
	}
	if z.large(&outgoing{frame: frame, shorter: frame[1:]}) {
		t.Error("a probe is large, although it goes out shorter the next time")
	}
}
