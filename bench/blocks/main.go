// Writes blocks of a Prometheus data directory from constant stretches of series, faster than any
// text could be read: a JSON line for each series on standard input.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"math"
	"os"

	kitlog "github.com/go-kit/log"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb"
)

const (
	blockMilliseconds = int64(31 * 24 * 3600 * 1000)
	samplesPerCommit  = 500_000
)

type stretch struct {
	Start, End int64 // milliseconds; the end is left out
	Value      float64
}

type series struct {
	Labels    map[string]string
	Every     int64 // milliseconds
	Stretches []stretch
}

func main() {
	all, first, end := read(os.Stdin)
	samples := 0
	for start := first; start < end; start += blockMilliseconds {
		samples += write(os.Args[1], all, start, start+blockMilliseconds)
	}
	fmt.Println(samples)
}

func read(from io.Reader) (all []series, first, end int64) {
	first = math.MaxInt64
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, 1<<26)
	for lines.Scan() {
		var one series
		must(json.Unmarshal(lines.Bytes(), &one))
		for _, part := range one.Stretches {
			first, end = min(first, part.Start), max(end, part.End)
		}
		all = append(all, one)
	}
	must(lines.Err())
	return all, first, end
}

func write(folder string, all []series, start, end int64) (samples int) {
	ctx := context.Background()
	// The head refuses what is older than half a chunk range: series come one after another.
	block, err := tsdb.NewBlockWriter(kitlog.NewNopLogger(), folder, 4*blockMilliseconds)
	must(err)
	appender := block.Appender(ctx)
	for _, one := range all {
		names := labels.FromMap(one.Labels)
		for _, part := range one.Stretches {
			for at := max(part.Start, start); at < min(part.End, end); at += one.Every {
				_, err := appender.Append(0, names, at, part.Value)
				must(err)
				if samples++; samples%samplesPerCommit == 0 {
					must(appender.Commit())
					appender = block.Appender(ctx)
				}
			}
		}
	}
	must(appender.Commit())
	_, err = block.Flush(ctx)
	must(err)
	must(block.Close())
	return samples
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
