//go:build linux

package main

// row is one line of the table: a metric of culvert beside one of its rival.
type row struct {
	title, unit string
	metric      string
	rival       series // zero: the plugin's figure of the same metric
	alone       bool   // measured for culvert only
	absolute    bool   // judged whether or not the rival could be measured, which may not survive it
	target      string // empty: none, the figure is for information
	holds       func(r *results, culvert, rival float64) bool
	decimals    int
	measuredBy  string // the measurement that brings it
}

// The targets leave room for what two equal rates differ by from run to run, where both ends wait for the same agent.
const sameRate = 0.98

func rows() []row {
	return append([]row{
		{title: "upload, 1 connection", unit: "MB/s", metric: "upload1", decimals: 2, measuredBy: "upload1",
			target: "at least 10 × the plugin", holds: atLeast(10)},
		{title: "upload, 8 connections", unit: "MB/s", metric: "upload8", decimals: 2, measuredBy: "upload8"},
		{title: "download, 1 connection", unit: "MB/s", metric: "download1", decimals: 3, measuredBy: "download1",
			target: "not below the plugin (2 % are noise)", holds: atLeast(sameRate)},
		{title: "download, 8 connections", unit: "MB/s", metric: "download8", decimals: 3, measuredBy: "download8",
			target: "at least 3.5 × the plugin", holds: atLeast(3.5)},
		{title: "download, 8 connections, culvert with `--lanes 4`", unit: "MB/s", metric: "download8-lanes", decimals: 3,
			rival: rivalOf("download8"), measuredBy: "download8-lanes"},
		{title: "download, 8 connections, culvert with `--lanes 8`", unit: "MB/s", metric: "download8-lanes8", decimals: 3,
			rival: rivalOf("download8"), measuredBy: "download8-lanes8", target: "at least 8 × the plugin", holds: atLeast(8)},
		{title: "download, 16 connections, culvert with `--lanes 16`", unit: "MB/s", metric: "download16", decimals: 3,
			measuredBy: "download16", target: "at least 12 × the plugin", holds: atLeast(12)},
		{title: "a page with 100 stylesheets, 3 MB, first visit", unit: "s", metric: firstVisit, decimals: 2, measuredBy: pageMetric,
			target: "at least 1.8 × as fast as the plugin", holds: timesAsFast(1.8)},
		{title: "the same page, second visit", unit: "s", metric: secondVisit, decimals: 2, measuredBy: pageMetric,
			target: "at least 2.5 × as fast as the plugin", holds: timesAsFast(2.5)},
		{title: "download of 2.5 MB, undisturbed", unit: "s", metric: undisturbed, decimals: 2, measuredBy: closesMetric, absolute: true},
		{title: "one close of its websocket: time above that", unit: "s", metric: oneClose, decimals: 2, measuredBy: closesMetric,
			absolute: true, target: "at most 0.5 s", holds: atMost(0.5)},
		{title: "three closes in three seconds: time above that", unit: "s", metric: threeCloses, decimals: 2, measuredBy: closesMetric,
			absolute: true, target: "at most 2 s", holds: atMost(2)},
		{title: "a task killed without a word: until a new connection is served", unit: "s", metric: deadTask, decimals: 2,
			measuredBy: deadTask, absolute: true, target: "at most 6 s", holds: atMost(6)},
		{title: "CPU per 100 MB up", unit: "s", metric: "upload1-cpu", decimals: 2, measuredBy: "upload1"},
		{title: "CPU per 100 MB down", unit: "s", metric: "download1-cpu", decimals: 2, measuredBy: "download1",
			target: "at most half of the plugin", holds: func(_ *results, c, p float64) bool { return c <= p/2 }},
		{title: "1 KiB echo, idle, p50", unit: "ms", metric: "echo-p50", decimals: 1, measuredBy: "echo",
			target: "not above the plugin", holds: notAbove},
		{title: "1 KiB echo, idle, p99", unit: "ms", metric: "echo-p99", decimals: 1, measuredBy: "echo"},
		{title: "1 KiB echo beside an upload, p50", unit: "ms", metric: besideUpload + "-p50", decimals: 1, measuredBy: besideUpload,
			target: "at most 2 × culvert idle", holds: besideIdle(2)},
		{title: "1 KiB echo beside an upload, p99", unit: "ms", metric: besideUpload + "-p99", decimals: 1, measuredBy: besideUpload},
		{title: "the same, a new connection for each, p50", unit: "ms", metric: besideUpload + "-new-p50", decimals: 1, measuredBy: besideUpload},
		{title: "1 KiB echo beside a download, p50", unit: "ms", metric: besideDownload + "-p50", decimals: 1, measuredBy: besideDownload,
			target: "at most 1.5 × culvert idle", holds: besideIdle(1.5)},
		{title: "1 KiB echo beside a download, p99", unit: "ms", metric: besideDownload + "-p99", decimals: 1, measuredBy: besideDownload},
		{title: "the first of its answers, connecting included", unit: "ms", metric: besideDownload + "-first", decimals: 1, measuredBy: besideDownload},
		{title: "the same, a new connection for each, p50", unit: "ms", metric: besideDownload + "-new-p50", decimals: 1, measuredBy: besideDownload},
		{title: "first byte, beside the plugin started directly", unit: "ms", metric: "first-byte", decimals: 0, measuredBy: "first-byte",
			target: "not above the plugin", holds: notAbove},
		{title: "first byte, beside `aws ssm start-session`", unit: "ms", metric: "first-byte", decimals: 0, measuredBy: "first-byte",
			rival:  series{"first-byte", nameCLI},
			target: "at most a quarter of it", holds: func(_ *results, c, p float64) bool { return c <= p/4 }},
		{title: "a workflow's step until an answer, `culvert up` beside the recipe with `sleep 10`", unit: "s", metric: stepMetric, decimals: 2,
			measuredBy: stepMetric, rival: series{stepMetric, nameRecipe},
			target: "at most a quarter of it", holds: func(_ *results, c, p float64) bool { return c <= p/4 }},
		{title: "the same to Squid", unit: "s", metric: stepToSquid, decimals: 2,
			measuredBy: stepToSquid, rival: series{stepMetric, nameRecipe},
			target: "at most a quarter of it", holds: func(_ *results, c, p float64) bool { return c <= p/4 }},
		{title: "a new host by `-D`, beside StartSession, handshake and one round trip of `-L`", unit: "ms", metric: coldMetric, decimals: 0,
			measuredBy: dynamicMetric, rival: series{coldMetric, nameForward}, target: "at most 1.3 × that", holds: timesOf(1.3)},
		{title: "a known host by `-D`, beside a connection by `-L`", unit: "ms", metric: warmMetric, decimals: 1,
			measuredBy: dynamicMetric, rival: series{warmMetric, nameForward}, target: "at most 1.1 × that", holds: timesOf(1.1)},
		{title: "200 connections at once: served", unit: "", metric: "connections-served", decimals: 0, measuredBy: "connections",
			target: "all", holds: func(_ *results, c, _ float64) bool { return c == crowd }},
		{title: "200 connections at once: p50", unit: "ms", metric: "connections-p50", decimals: 0, measuredBy: "connections",
			target: "at most 0.6 × the plugin", holds: timesOf(0.6)},
		{title: "until the last of them is", unit: "ms", metric: "connections-last", decimals: 0, measuredBy: "connections",
			target: "at most 0.6 × the plugin", holds: timesOf(0.6)},
		{title: "as many again, when those have ended: p50", unit: "ms", metric: "connections-again", decimals: 0, measuredBy: "connections"},
		{title: "peak memory of one tunnel, upload", unit: "MB", metric: "upload1-memory", decimals: 1, measuredBy: "upload1",
			target: "at most 40 MB", holds: small},
		{title: "peak memory of one tunnel, download", unit: "MB", metric: "download1-memory", decimals: 1, measuredBy: "download1",
			target: "at most 40 MB", holds: small},
		{title: "peak memory over a long upload and a long download", unit: "MB", metric: "flat-peak", alone: true, decimals: 1,
			measuredBy: "flat", target: "at most 40 MB", holds: small},
		{title: "memory growth in the second half of them", unit: "MB", metric: "flat-growth", alone: true, decimals: 1,
			measuredBy: "flat", target: "flat (at most 4 MB)", holds: func(_ *results, c, _ float64) bool { return c <= 4 }},
		{title: "download, agent without its rests", unit: "MB/s", metric: "flat-download", alone: true, decimals: 1, measuredBy: "flat"},
		{title: "upload under 1 % loss", unit: "MB/s", metric: "loss-upload", decimals: 2, measuredBy: "loss-upload",
			target: "still moving", holds: moving},
		{title: "download under 1 % loss", unit: "MB/s", metric: "loss-download", decimals: 3, measuredBy: "loss-download"},
	}, relayRows()...)
}

func rivalOf(metric string) series { return series{metric, namePlugin} }

func atLeast(times float64) func(*results, float64, float64) bool {
	return func(_ *results, c, p float64) bool { return c >= times*p }
}

func timesOf(most float64) func(*results, float64, float64) bool {
	return func(_ *results, c, p float64) bool { return c <= most*p }
}

func timesAsFast(times float64) func(*results, float64, float64) bool {
	return func(_ *results, c, p float64) bool { return c*times <= p }
}

func atMost(most float64) func(*results, float64, float64) bool {
	return func(_ *results, c, _ float64) bool { return c <= most }
}

func besideIdle(times float64) func(*results, float64, float64) bool {
	return func(r *results, c, _ float64) bool {
		idle, known := r.median("echo-p50", nameCulvert)
		return known && c <= times*idle
	}
}

func notAbove(_ *results, c, p float64) bool { return c <= p }
func small(r *results, c, p float64) bool    { return atMost(40)(r, c, p) }
func moving(_ *results, c, _ float64) bool   { return c > 0 }

// rivalSeries is where the other column's figure comes from.
func (w row) rivalSeries() series {
	if w.rival == (series{}) {
		return rivalOf(w.metric)
	}
	return w.rival
}

// sessions are those of the measurements that the row's figures come from.
func (w row) sessions(r *results) string {
	own := r.sessions(w.measuredBy, nameCulvert)
	if w.alone {
		return own
	}
	from, by := w.rivalSeries(), w.measuredBy
	for _, other := range rows() {
		if other.metric == from.metric {
			by = other.measuredBy
		}
	}
	return own + " / " + r.sessions(by, from.subject)
}
