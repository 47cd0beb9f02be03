-- name: AddPhone :one
insert into phone (model, condition, cents) values ($1, $2, $3) returning *;

-- name: PhoneByModel :one
select * from phone where model = $1;

-- name: PhonesFrom :many
select * from phone where cents >= $1 order by cents, model;

-- name: Annotate :exec
update phone set note = $2 where id = $1;

-- name: Discount :execrows
update phone set cents = cents - $1 where cents >= $1;

-- name: Clear :execresult
delete from phone;

-- name: ImportPhones :copyfrom
insert into phone (model, cents) values ($1, $2);

-- name: SetCondition :batchexec
update phone set condition = $2 where model = $1;

-- name: CentsOf :batchone
select cents from phone where model = $1;

-- name: ModelsIn :batchmany
select model from phone where condition = $1 order by model;
