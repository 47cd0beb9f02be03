package pool_test

var reportsOfSupply = []report{}
