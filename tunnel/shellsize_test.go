package tunnel

import (
	"encoding/json"
	"testing"

	"culvert/aws/wire"
)

// The agent is told how large the terminal is, each time that it is asked to.
func TestTheSizeOfATerminalIsSent(t *testing.T) {
	t.Parallel()
	s := &shell{lane: &lane{channel: testChannel(nil)}}
	for _, size := range []Size{{Columns: 80, Rows: 24}, {Columns: 1 << 20, Rows: -1}} {
		if err := s.resize(size); err != nil {
			t.Fatal(err)
		}
	}
	var got []wire.TerminalSize
	for _, m := range written(t, s.channel) {
		var size wire.TerminalSize
		if err := json.Unmarshal(m.Body, &size); m.Payload != wire.Size || err != nil {
			t.Fatalf("sent a message of type %d, %q: %v", m.Payload, m.Body, err)
		}
		got = append(got, size)
	}
	if len(got) != 2 || got[0] != (wire.TerminalSize{Cols: 80, Rows: 24}) || got[1] != (wire.TerminalSize{Cols: 1<<16 - 1}) {
		t.Errorf("sent %+v, want both sizes, as far as a kernel can hold them", got)
	}
}
