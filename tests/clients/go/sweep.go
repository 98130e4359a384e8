package main

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
)

// What a library's administrative calls answer the lines of tests/admin/sweeps.rs with; what it makes begins with
// name.
type sweeper func(bootstrap, name string) verbs

// A broker answers before all of it has heard of a change.
const settling = 500 * time.Millisecond

// Fields in which two brokers differ: each makes its own ids, listens on a port of its own, counts its own changes
// and has a directory of its own.
var different = []string{"ID", "TopicID", "Uuid", "Cluster", "Port", "LeaderEpoch", "ControllerID", "Dir", "Path", "Size", "UsableBytes"}

// Settings that Kafka 4 has defaults of its own for, and what an acknowledgement waits for here.
var differentSettings = []string{"min.insync.replicas", "flush.messages", "log.flush.interval.messages"}

// The facts that a line's calls come to.
type told []string

// Adds what a call has answered, or what it has failed with.
func (t *told) tell(what string, answer any, err error) {
	text := shown(reflect.ValueOf(answer))
	if err != nil {
		text += " " + err.Error()
	}
	*t = append(*t, strings.Join(strings.Fields(what+": "+text), " "))
}

// A value with all that is behind its pointers; lists and maps come in the order of the alphabet. Settings whose
// defaults differ are left out.
func shown(value reflect.Value) string {
	if !value.IsValid() {
		return "-"
	}
	if err, failed := value.Interface().(error); failed && !isNil(value) {
		return err.Error()
	}
	switch value.Kind() {
	case reflect.Pointer, reflect.Interface:
		return shown(value.Elem())
	case reflect.Struct:
		return "{" + strings.Join(shownFields(value), " ") + "}"
	case reflect.Map:
		var pairs []string
		for _, key := range value.MapKeys() {
			if name := shown(key); !slices.Contains(differentSettings, name) {
				pairs = append(pairs, name+"="+shown(value.MapIndex(key)))
			}
		}
		slices.Sort(pairs)
		return "[" + strings.Join(pairs, ", ") + "]"
	case reflect.Slice:
		var elements []string
		for i := range value.Len() {
			elements = append(elements, shown(value.Index(i)))
		}
		slices.Sort(elements)
		return "[" + strings.Join(elements, ", ") + "]"
	default:
		return fmt.Sprint(value.Interface())
	}
}

func isNil(value reflect.Value) bool {
	return value.Kind() == reflect.Pointer && value.IsNil()
}

func shownFields(value reflect.Value) []string {
	var fields []string
	for i := range value.NumField() {
		field := value.Type().Field(i)
		if !field.IsExported() || slices.Contains(different, field.Name) {
			continue
		}
		text := shown(value.Field(i))
		if (field.Name == "Name" || field.Name == "Key") && slices.Contains(differentSettings, text) {
			return nil
		}
		fields = append(fields, field.Name+":"+text)
	}
	return fields
}

func runSweep(start sweeper, words []string) {
	if len(words) != 2 {
		fail("usage: clients LIBRARY sweep BOOTSTRAP NAME")
	}
	answerLines(start(words[0], words[1]+"-"))
}

// A pointer to what a field wants a pointer to.
func some(text string) *string {
	return &text
}
