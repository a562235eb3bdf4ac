package tunnel

// Listenable reports whether the local end of s can be had now: nil, or what Open would say.
func (s Spec) Listenable() error {
	local, err := listen(s)
	if err != nil {
		return err
	}
	local.close()
	return nil
}
