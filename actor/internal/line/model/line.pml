/*
 * The waiting line of package line, as a model to check with spin. check.sh does.
 *
 * Each inline below has the name of its function in ../line.go or ../owner.go, and takes its steps in the
 * same order: one statement, or one atomic block, for each step that the Go code announces (../step.go).
 *
 *   model         code                    steps
 *   Claim         claim                   Claim
 *   Grab          grab                    TakeTop, TakeIdle
 *   Lay           lay                     LayTop, LayIdle
 *   Take          Take                    LookAtGate, Grab
 *   Give, Pass    Give, pass              LookAtGate, Claim, Hand, Lay, LookAtWant, Grab; Bring
 *   Join          Join                    Post
 *   Await         Await                   LookAtEnd, Take, Claim, Pass, LookAtFull, Wake, Receive
 *   Leave         leave                   Claim, Leave, Pass
 *   (hand?v)      dismiss                 LookAgain; no answer is there: Leave
 *   Answer        answer                  Hand, Post
 *   HandOver      Hand                    Claim, Answer, Lay, LookAtWant, Grab
 *   Refuse        Refuse                  Claim, Answer
 *   Match         Match                   LookAtWant, Grab, HandOver
 *   Draw, Return  Draw, Return            TakeIdle, TakeTop; LayIdle, LayTop, Match
 *   gate          Shut, Open              Set
 *   saturated     full, by SetFull        Set (full is a word of spin's)
 *   ended         End                     Finish
 *
 * The owner here opens up to N values, loses some, refuses, pauses, checks what lies idle, and ends, as a pool does.
 * want is the number of tokens, since a channel of struct{} holds nothing else. idle has a place more than in the
 * code, since a channel of capacity 0 is another thing here; no value needs it. MaxWaiting is left out: there the
 * owner takes the step Join for a borrower, which then takes the steps of Await. That is one order of the same
 * steps: Join, others, Await.
 *
 * Settings: N values, B borrowers, R gets of each, H places in hand, and
 *   CANCEL    a waiter may give up              DISCARD   a borrower may throw its value away
 *   FAIL      a dial may fail                   PAUSE     the gate is shut and opened again, at any time
 *   REFUSE    the owner refuses one waiter      ROUND     the owner draws an idle value and returns it
 *   END       the line ends, at any time
 */
#ifndef N
#define N 1
#endif
#ifndef B
#define B 2
#endif
#ifndef R
#define R 1
#endif
#ifndef H
#define H 1
#endif

#define ERR 9                   /* an answer that is an error */
#define WAKE 10                 /* messages to the owner; a value v is brought as BRING+v */
#define BRING 20
#define OPENED 30
#define FAILED 31
#define DISCARDED 40
#define SHUT 50
#define OPEN 51
#define REFUSAL 52
#define CHECK 53
#define CLOSE 54

byte want = 0;
chan top = [1] of {byte};
chan idle = [N] of {byte};
chan hand = [H] of {byte};
chan inbox = [16] of {byte};
bool gate = false, saturated = false, ended = false;

bool exists[N+1], lent[N+1];    /* what there is, to assert */
byte finished = 0;              /* borrowers that have done all their gets */
bool quiet = false;             /* paused, and every value is with the owner */

inline Claim(ok) { atomic { if :: want > 0 -> want--; ok = true :: else -> ok = false fi } }
inline Grab(v) {
  v = 0;
  atomic { if :: len(top) > 0 -> top?v :: else -> skip fi };
  if :: v == 0 -> atomic { if :: len(idle) > 0 -> idle?v :: else -> skip fi } :: else -> skip fi
}
inline Lay(v) {
  atomic { if :: len(top) == 0 -> top!v; v = 0 :: else -> skip fi };
  if :: v != 0 -> idle!v; v = 0 :: else -> skip fi
}
inline Take(v) { v = 0; if :: !gate -> Grab(v) :: else -> skip fi }

/* Pass: Give, and Bring what Give returns. */
inline Pass(v, ok) {
  if
  :: gate -> inbox!(BRING+v); v = 0
  :: else ->
     do
     :: Claim(ok);
        if :: ok -> hand!v; v = 0; break :: else -> skip fi;
        Lay(v);
        if :: want > 0 -> Grab(v) :: else -> break fi;
        if :: v == 0 -> break :: else -> skip fi
     od
  fi
}

/* Leave: v is 0 afterwards, whether the waiter took a token back or received an answer. */
inline Leave(v, ok) {
  Claim(ok);
  if
  :: ok -> skip
  :: else ->
     if
     :: atomic { want > 0 -> want-- }
     :: hand?v; if :: v != ERR -> Pass(v, ok) :: else -> skip fi
     fi
  fi;
  v = 0
}

/* Await: v is the value received, or 0. */
inline Await(v, ok, mayCancel) {
  v = 0;
  if
  :: ended -> Leave(v, ok)
  :: else ->
     Take(v);
     if
     :: v != 0 -> Claim(ok); if :: ok -> skip :: else -> Pass(v, ok); v = 0 fi
     :: else -> skip
     fi;
     if
     :: v != 0 -> skip
     :: else ->
        if :: !saturated -> inbox!WAKE :: else -> skip fi;
        if
        :: hand?v; if :: v == ERR -> v = 0 :: else -> skip fi
        :: mayCancel -> Leave(v, ok)
        fi
     fi
  fi
}

proctype borrower() {
  byte v = 0, gets = 0; bool ok = false, mayCancel = false;
  do
  :: gets == R -> break
  :: else ->
     gets++;
#ifdef CANCEL
     if :: mayCancel = true :: mayCancel = false fi;
#endif
     Take(v);
     if
     :: v != 0 -> skip
     :: else ->
        want++;                                 /* Join */
        Await(v, ok, mayCancel)
     fi;
     if
     :: v == 0 -> skip
     :: else ->
        atomic { assert(exists[v] && !lent[v]); assert(!quiet); lent[v] = true };
        lent[v] = false;
        if
        :: Pass(v, ok)
#ifdef DISCARD
        :: atomic { exists[v] = false; inbox!(DISCARDED+v); v = 0 }
#endif
        fi
     fi
  od;
  atomic { v = 0; ok = false; mayCancel = false; gets = 0; finished++ }
}

/* The owner. held are the values in its hands. again: it was refused room in hand, and has to try again. */
bool held[N+1];
byte hands = 0, opened = 0, dialing = 0, failures = 0;
bool closing = false, pausing = false, again = false, over = false;

proctype dialer() {
  if
  :: inbox!OPENED
#ifdef FAIL
  :: atomic { failures < 2 -> failures++ }; inbox!FAILED
#endif
  fi
}

inline Keep(v) { atomic { assert(!held[v]); held[v] = true; hands++; v = 0 } }
/* Answer: ok tells whether there was room. Without room the token is put back. */
inline Answer(v, ok) {
  atomic { if :: len(hand) < H -> hand!v; ok = true :: else -> ok = false fi };
  if :: ok -> v = 0 :: else -> want++ fi
}
/* HandOver: v is 0 afterwards, or a value for which there is no room. */
inline HandOver(v, ok) {
  do
  :: Claim(ok);
     if :: ok -> Answer(v, ok); break :: else -> skip fi;
     Lay(v);
     if :: want > 0 -> Grab(v) :: else -> break fi;
     if :: v == 0 -> break :: else -> skip fi
  od
}
inline Refuse(v, ok, done) {
  Claim(ok);
  if
  :: ok -> v = ERR; Answer(v, ok); v = 0; done = !ok; again = again || !ok
  :: else -> done = true
  fi
}
inline RefuseAll(v, ok, done) {
  done = false;
  do :: done -> break :: else -> Refuse(v, ok, done) od;
  done = false
}
inline Match(v, ok) {
  do
  :: want > 0 && !gate ->
     Grab(v);
     if :: v == 0 -> break :: else -> skip fi;
     HandOver(v, ok);
     if :: v != 0 -> Keep(v); again = true; break :: else -> skip fi
  :: else -> break
  od
}
inline Draw(v) {
  v = 0;
  atomic { if :: len(idle) > 0 -> idle?v :: else -> skip fi };
  if :: v == 0 -> atomic { if :: len(top) > 0 -> top?v :: else -> skip fi } :: else -> skip fi
}
inline Return(v, ok) {
  idle!v; v = 0;
  Match(v, ok)                                  /* Return's */
}

active proctype owner() {
  byte m = 0, v = 0, i = 0; bool ok = false, done = false;
end:
  do
  :: atomic { inbox?m; v = 0 } ->
     if
     :: m == WAKE -> skip
     :: m == SHUT -> if :: !closing -> pausing = true; gate = true; saturated = false :: else -> skip fi
     :: m == OPEN -> pausing = false; quiet = false
     :: m == CLOSE -> closing = true; quiet = false; saturated = false; gate = true; ended = true
     :: m == OPENED ->
        atomic {
          dialing--; opened++;
          i = 1; do :: i <= N && exists[i] -> i++ :: else -> break od; assert(i <= N);
          exists[i] = true; v = i; i = 0
        };
        Keep(v)
     :: m == FAILED -> dialing--
     :: m > BRING && m <= BRING+N -> v = m - BRING; Keep(v)
     :: m > DISCARDED && m <= DISCARDED+N -> opened--; saturated = false
     :: m == REFUSAL -> Refuse(v, ok, done); done = false; again = false  /* and changes its mind */
     :: m == CHECK -> /* the owner sleeps again at once, so Return must do without settle's Match */
        Draw(v);
        if :: v == 0 -> skip :: v != 0 && gate -> Keep(v) :: else -> Return(v, ok) fi;
        m = 0; ok = false; goto end
     fi;
     m = 0;
settle:
     if
     :: gate -> do :: Draw(v); if :: v == 0 -> break :: else -> Keep(v) fi od
     :: else -> skip
     fi;
     if
     :: closing ->
        atomic { i = 1; do :: i <= N -> if :: held[i] -> held[i] = false; hands--; exists[i] = false; opened-- :: else -> skip fi; i++ :: else -> break od; i = 0 };
        RefuseAll(v, ok, done);
        if :: opened == 0 && dialing == 0 && !again -> over = true; break :: else -> skip fi
     :: !closing && pausing ->
        quiet = (hands == opened && dialing == 0)
     :: else ->
        if :: gate -> gate = false :: else -> skip fi;                    /* Open */
        i = 1;
        do
        :: i <= N ->
           if :: held[i] -> atomic { held[i] = false; hands--; v = i }; HandOver(v, ok);
                            if :: v != 0 -> Keep(v); again = true :: else -> skip fi
           :: else -> skip
           fi;
           i++
        :: else -> i = 0; break
        od;
        if
        :: opened == 0 && dialing == 0 && failures == 2 -> RefuseAll(v, ok, done) /* nothing open, nothing coming */
        :: else -> skip
        fi;
        do :: want > dialing && opened + dialing < N && failures < 2 -> dialing++; run dialer() :: else -> break od;
        saturated = (opened == N && dialing == 0);
        Match(v, ok)                            /* settle's */
     fi;
     ok = false
  :: gate && (len(top) > 0 || len(idle) > 0) -> goto settle               /* Laid */
  :: again && (len(hand) < H || want == 0) -> again = false; goto settle
  od
}

#ifdef END
active proctype ender() { inbox!CLOSE }
#endif
#ifdef PAUSE
active proctype pauser() { inbox!SHUT; inbox!OPEN }
#endif
#ifdef REFUSE
active proctype refuser() { inbox!REFUSAL }
#endif
#ifdef ROUND
active proctype checker() { inbox!CHECK }
#endif

/* When nothing moves any more every borrower is done, every token and answer is gone, and no value is lost. */
active proctype monitor() {
  timeout -> assert(finished == B && want == 0 && len(hand) == 0);
#ifdef END
  assert(over)
#else
  assert(len(inbox) == 0 && len(top) + len(idle) + hands == opened)
#endif
}
init { byte b = 0; atomic { do :: b < B -> run borrower(); b++ :: else -> break od; b = 0 } }
