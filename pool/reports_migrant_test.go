package pool_test

var reportsOfMigrants = []report{}
