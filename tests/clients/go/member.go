package main

type membership struct{}
type teller struct{}

func runMember(run func(membership, *teller) error, words []string) {}
func saramaMember(m membership, t *teller) error                    { return nil }
func kafkaGoMember(m membership, t *teller) error                   { return nil }
func franzMember(m membership, t *teller) error                     { return nil }
