create type condition as enum ('new', 'used', 'broken');

create table phone (
    id        bigint generated always as identity primary key,
    model     text not null unique,
    condition condition not null default 'new',
    cents     integer not null check (cents >= 0),
    note      text
);
