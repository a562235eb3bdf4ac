//go:build linux

package main

// relayRows are those of what goes through a relay. The other column is mostly culvert's own, without it.
func relayRows() []row {
	plain := func(metric string) series { return series{metric, namePlain} }
	return []row{
		{title: "through a relay: one download, no flag, 1 vCPU", unit: "MB/s", metric: relayedMetric, decimals: 3, measuredBy: relayedMetric,
			target: "at least 5 × the plugin", holds: atLeast(5)},
		{title: "the same, beside culvert without it", unit: "MB/s", metric: relayedMetric, decimals: 3, measuredBy: relayedMetric,
			rival: plain(relayedMetric)},
		{title: "through a relay: one download, `--lanes 8`", unit: "MB/s", metric: relayed8, decimals: 3, measuredBy: relayed8,
			target: "at least 7 × the plugin", holds: atLeast(7)},
		{title: "the same, beside eight downloads at once without it", unit: "MB/s", metric: relayed8, decimals: 3, measuredBy: relayed8,
			rival: series{relayed8, nameEight}, target: "at least 0.9 × those", holds: atLeast(0.9)},
		{title: "through a relay: one download, `--lanes 16`, 2 vCPU", unit: "MB/s", metric: relayed16, decimals: 3, measuredBy: relayed16,
			target: "at least 12 × the plugin", holds: atLeast(12)},
		{title: "through a relay: one download, no flag, round trip 100 ms", unit: "MB/s", metric: relayedFar, decimals: 3, measuredBy: relayedFar,
			target: "at least 5 × the plugin", holds: atLeast(5)},
		{title: "CPU of the relay per 100 MB down, `--lanes 8`", unit: "s", metric: relayed8 + relayCPU, alone: true, decimals: 2,
			measuredBy: relayed8, target: "at most 1.5 s", holds: atMost(1.5)},
		{title: "CPU of culvert for that, beside that of eight downloads without a relay", unit: "s", metric: relayed8 + "-cpu", decimals: 2,
			measuredBy: relayed8, rival: series{relayed8 + "-cpu", nameEight},
			target: "at most 1.5 s above it", holds: func(_ *results, c, p float64) bool { return c <= p+1.5 }},
		{title: "peak memory of the relay, `--lanes 8`", unit: "MB", metric: relayed8 + relayMemory, alone: true, decimals: 1,
			measuredBy: relayed8, target: "at most 32 MB", holds: atMost(32)},
		{title: "peak memory of the relay, `--lanes 16`", unit: "MB", metric: relayed16 + relayMemory, alone: true, decimals: 1,
			measuredBy: relayed16, target: "at most 32 MB", holds: atMost(32)},
		{title: "through a relay: 1 KiB echo, idle, p50, beside culvert without it", unit: "ms", metric: relayedEcho + "-p50", decimals: 1,
			measuredBy: relayedEcho, rival: plain(relayedEcho + "-p50"),
			target: "at most 1 ms above it", holds: func(_ *results, c, p float64) bool { return c <= p+1 }},
		{title: "the same, beside the plugin", unit: "ms", metric: relayedEcho + "-p50", decimals: 1, measuredBy: relayedEcho},
		{title: "through a relay: 1 KiB echo, idle, p99, beside culvert without it", unit: "ms", metric: relayedEcho + "-p99", decimals: 1,
			measuredBy: relayedEcho, rival: plain(relayedEcho + "-p99")},
		{title: "through a relay: 1 KiB echo beside a download, p50, beside culvert without it", unit: "ms", metric: relayedBeside + "-p50",
			decimals: 1, measuredBy: relayedBeside, rival: plain(relayedBeside + "-p50"), absolute: true,
			target: "at most 7 ms above the round trip", holds: aboveTrip(7)},
		{title: "through a relay: 1 KiB echo beside a download, p99, beside culvert without it", unit: "ms", metric: relayedBeside + "-p99",
			decimals: 1, measuredBy: relayedBeside, rival: plain(relayedBeside + "-p99"), absolute: true,
			target: "at most 25 ms above the round trip", holds: aboveTrip(25)},
		{title: "that download's rate meanwhile, of that before", unit: "%", metric: relayedBeside + "-share", decimals: 0,
			measuredBy: relayedBeside, rival: plain(relayedBeside + "-share"), absolute: true,
			target: "at least 85 %", holds: reaches(85)},
		{title: "through a relay: a new host by CONNECT and its first byte, beside a new session for it", unit: "round trips", metric: relayedNew,
			decimals: 2, measuredBy: relayedNew, rival: series{relayedNew, nameDynamic}, absolute: true,
			target: "at most 2.2", holds: atMost(2.2)},
		{title: "the same, beside culvert without a relay", unit: "round trips", metric: relayedNew, decimals: 2, measuredBy: relayedNew,
			rival: plain(relayedNew)},
		{title: "through a relay: a host that the proxy refuses, until it says so", unit: "round trips", metric: relayedNew + relayBarred,
			decimals: 2, measuredBy: relayedNew, rival: plain(relayedNew + relayBarred)},
		{title: "through a relay: a port that nobody listens on, until the connection ends", unit: "round trips", metric: relayedRefused,
			decimals: 2, measuredBy: relayedRefused, rival: plain(relayedRefused)},
		{title: "through a relay: the page by HTTP/2, beside culvert without it", unit: "s", metric: relayedPage2, decimals: 2,
			measuredBy: relayedPage2, rival: plain(relayedPage2), absolute: true, target: "at most 1.6 s", holds: atMost(1.6)},
		{title: "the same, beside no session at all", unit: "s", metric: relayedPage2, decimals: 2, measuredBy: relayedPage2,
			rival: series{relayedPage2, nameStraight}},
		{title: "through a relay: the page by HTTP/1.1, beside culvert without it", unit: "s", metric: relayedPage, decimals: 2,
			measuredBy: relayedPage, rival: plain(relayedPage), absolute: true, target: "at most 2.0 s", holds: atMost(2)},
		{title: "the same page, beside no session at all", unit: "s", metric: relayedPage, decimals: 2, measuredBy: relayedPage,
			rival: series{relayedPage, nameStraight}},
		{title: "through a relay: one of eight sessions terminated in a download, longest silence", unit: "ms", metric: harmMetric(harmSession),
			alone: true, decimals: 0, measuredBy: relayedFaults, target: "at most 150 ms", holds: atMost(150)},
		{title: "the same for the socket of one that is lost", unit: "ms", metric: harmMetric(harmSocket), alone: true, decimals: 0,
			measuredBy: relayedFaults, target: "at most 250 ms", holds: atMost(250)},
		{title: "two of eight terminated: the rate from 3 s after that on, of that before", unit: "%", metric: harmMetric(harmTwo), alone: true,
			decimals: 0, measuredBy: relayedFaults, target: "at least 90 %", holds: reaches(90)},
		{title: "all eight terminated, longest silence", unit: "ms", metric: harmMetric(harmAll), alone: true, decimals: 0,
			measuredBy: relayedFaults, target: "at most 2000 ms", holds: atMost(2000)},
		{title: "the relay killed: until the connection ends", unit: "ms", metric: harmMetric(harmRelay), alone: true, decimals: 0,
			measuredBy: relayedFaults, target: "at most 1000 ms", holds: atMost(1000)},
		{title: "the relay killed: until a new connection is served", unit: "ms", metric: servedAgain, alone: true, decimals: 0,
			measuredBy: relayedFaults},
		{title: "the task definition has a relay and none listens: first byte, beside `--relay no`", unit: "ms", metric: relayedAbsent,
			decimals: 0, measuredBy: relayedAbsent, rival: plain(relayedAbsent),
			target: "at most 1000 ms above it", holds: func(_ *results, c, p float64) bool { return c <= p+1000 }},
	}
}

func reaches(least float64) func(*results, float64, float64) bool {
	return func(_ *results, c, _ float64) bool { return c >= least }
}

// aboveTrip is for milliseconds that a round trip is a part of.
func aboveTrip(most float64) func(*results, float64, float64) bool {
	return func(r *results, c, _ float64) bool { return c <= milliseconds(r.trip)+most }
}
