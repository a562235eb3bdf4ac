package tunnel

// bindNumbers are the error numbers of this system.
var bindNumbers = windowsNumbers() //nolint:gochecknoglobals // never changed; Go has no constants of such types
