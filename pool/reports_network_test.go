package pool_test

var reportsOfNetworks = []report{}
