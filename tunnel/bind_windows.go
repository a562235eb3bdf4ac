package tunnel

// bindNumbers are those of this system.
var bindNumbers = windowsNumbers()
