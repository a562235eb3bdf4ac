package wire

import (
	"encoding/binary"
	"fmt"
)

// The smux version 1 frame (xtaci/smux, frame.go): 8 bytes of header, little endian, then the data of a Push.
const (
	MuxVersion = 1
	MuxHeader  = 8
	// MuxMaxData is the most data one frame can carry, in bytes.
	MuxMaxData = 1<<16 - 1
)

// MuxCommand is what a mux frame does to its stream.
type MuxCommand byte

// The commands of smux version 1.
const (
	MuxOpen  MuxCommand = 0 // SYN: the agent dials the destination; this gets no answer
	MuxClose MuxCommand = 1 // FIN: the stream is over in both directions
	MuxPush  MuxCommand = 2 // PSH: data
	MuxNop   MuxCommand = 3 // NOP: keepalive
)

// MuxFrame is the header of a mux frame.
type MuxFrame struct {
	Command MuxCommand
	Length  uint16 // how many bytes of data follow the header; 0 unless the command is MuxPush
	Stream  uint32
}

// ParseMux decodes the first MuxHeader bytes of b.
func ParseMux(b []byte) (MuxFrame, error) {
	if len(b) < MuxHeader {
		return MuxFrame{}, fmt.Errorf("%w: mux header of %d bytes", ErrShort, len(b))
	}
	if b[0] != MuxVersion {
		return MuxFrame{}, fmt.Errorf("%w: mux version %d, want %d", ErrInvalid, b[0], MuxVersion)
	}
	f := MuxFrame{Command: MuxCommand(b[1]), Length: binary.LittleEndian.Uint16(b[2:]), Stream: binary.LittleEndian.Uint32(b[4:])}
	if f.Command > MuxNop {
		return MuxFrame{}, fmt.Errorf("%w: mux command %d", ErrInvalid, b[1])
	}
	// smux skips no data behind other commands, so a length in one of them would put the two ends out of sync.
	if f.Command != MuxPush && f.Length != 0 {
		return MuxFrame{}, fmt.Errorf("%w: mux command %d with %d bytes of data", ErrInvalid, b[1], f.Length)
	}
	return f, nil
}

// Append encodes the header behind dst; the caller appends the data.
func (f MuxFrame) Append(dst []byte) []byte {
	dst = append(dst, MuxVersion, byte(f.Command))
	dst = binary.LittleEndian.AppendUint16(dst, f.Length)
	return binary.LittleEndian.AppendUint32(dst, f.Stream)
}
