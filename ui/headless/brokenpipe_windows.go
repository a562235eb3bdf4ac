package headless

// readerGone are the numbers of this system.
var readerGone = windowsReaderGone() //nolint:gochecknoglobals // never changed; Go has no constants of such types
