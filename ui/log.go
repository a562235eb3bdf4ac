package ui

func newLog(a *app) screen { return newHelp(a) }
