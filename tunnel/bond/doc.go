// Package bond carries streams over several connections at once, its strands, so that one stream is as fast as all of them
// together and outlives each of them. culvert has the one end, a relay in the task the other; spec.md beside this file is
// the protocol. The package knows no sessions: a strand is any net.Conn.
//
// At the near end a [Bundle] is made first, then each strand joins it:
//
//	b := bond.New(bond.Config{Build: version, Tell: heed})
//	strand, err := b.Join(ctx, conn)     // says hello; conn is the bundle's from now on, and closed when that fails
//	stream, err := b.Open(ctx, 3128)     // a net.Conn with CloseWrite; the error is the outcome of the far end's dial
//
// What its caller knows of a lane it tells the strand: [Strand.Away], [Strand.Back], [Strand.Drain], [Strand.Close]. What the
// bundle wants to have done comes as an [Event]: more strands, fewer strands, a strand or the whole bundle that has ended.
//
// At the far end a [Relay] serves a listener.
package bond
