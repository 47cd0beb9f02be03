package pool_test

var reportsOfErrors = []report{}
