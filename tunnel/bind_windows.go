package tunnel

// bindNumbers are those of this system.
var bindNumbers = windowsNumbers() //nolint:gochecknoglobals // never changed; Go has no constants of such types
