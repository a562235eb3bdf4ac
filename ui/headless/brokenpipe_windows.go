package headless

// readerGone are the error numbers of this system for a pipe whose reader has gone.
var readerGone = windowsReaderGone() //nolint:gochecknoglobals // never changed; Go has no constants of such types
