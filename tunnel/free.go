package tunnel

// Free tries whether a spec's local side could be listened on now: nil, or what Open would say. A unix socket is not
// tried, that would remove a stale one.
func Free(s Spec) error {
	if s.Socket != "" {
		return nil
	}
	l, err := listen(s)
	if err != nil {
		return err
	}
	l.close()
	return nil
}
