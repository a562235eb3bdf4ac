package wire

import "testing"

// An acknowledge is mostly written as AWS's agents write it, and is then read without a JSON parser. Whatever is written
// otherwise must be read by one: as another number it would take a message for arrived that is lost.
func TestAcknowledgesInEveryFormSayTheSameNumber(t *testing.T) {
	const begin = `{"AcknowledgedMessageType":"input_stream_data","AcknowledgedMessageId":"dd01e56b-ff48-483e-a508-b5f073f31b16","AcknowledgedMessageSequenceNumber":`
	for body, want := range map[string]int64{
		begin + `12,"IsSequentialMessage":true}`:          12,
		begin + `0,"IsSequentialMessage":false}`:          0,
		begin + `12,"IsSequentialMessage":true,"More":1}`: 12,
		begin + `12 , "IsSequentialMessage":true}`:        12,
		begin + ` 12,"IsSequentialMessage":true}`:         12,
		begin + `12}`: 12,
		begin + `999999999999999999,"IsSequentialMessage":true}`:                                              999999999999999999,
		begin + `1000000000000000000,"IsSequentialMessage":true}`:                                             1000000000000000000,
		` ` + begin + `12,"IsSequentialMessage":true}`:                                                        12,
		`{"AcknowledgedMessageSequenceNumber":12}`:                                                            12,
		`{"AcknowledgedMessageType":"x","AcknowledgedMessageSequenceNumber":12,"AcknowledgedMessageId":"y"}`:  12,
		`{"AcknowledgedMessageType":"A1","AcknowledgedMessageId":"y","AcknowledgedMessageSequenceNumber":12}`: 12,
		`{"AcknowledgedMessageType":"x","AcknowledgedMessageId":"y","AcknowledgedMessageSequenceNumber":12}`:  12,
	} {
		if got, err := ParseAckSequence([]byte(body)); err != nil || got != want {
			t.Errorf("%s: got %d, %v, want %d", body, got, err, want)
		}
	}
	for _, body := range []string{begin + `,"IsSequentialMessage":true}`, begin + `012,"IsSequentialMessage":true}`, begin + `12`, begin + `"12"}`, begin + `1.5}`, begin} {
		if got, err := ParseAckSequence([]byte(body)); err == nil {
			t.Errorf("%s: got %d, want an error", body, got)
		}
	}
}
