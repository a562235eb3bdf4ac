// Package bond carries streams over several connections at once (strands), so that one stream can be as fast as all of them
// together and outlives each of them. culvert is the near end, a relay in the task the far end; spec.md beside this file is the
// protocol. The package knows nothing of sessions: a strand is made of any net.Conn.
//
// At the near end a [Bundle] is made first, then each strand joins it:
//
//	b := bond.New(bond.Config{Build: version, Tell: heed})
//	strand, err := b.Join(ctx, conn)     // says hello; conn is the bundle's from now on, and closed when that fails
//	stream, err := b.Open(ctx, 3128)     // a net.Conn with CloseWrite; the error is the outcome of the far end's dial
//
// The caller tells a strand what it knows of the connection below: [Strand.Away], [Strand.Back], [Strand.Drain], [Strand.Close].
// The bundle tells by an [Event] what the caller should do or know: more strands, fewer strands, a strand or the whole bundle
// that has ended.
//
// At the far end a [Relay] serves a listener.
package bond
