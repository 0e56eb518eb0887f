"""Writes the sentences the example model is trained and measured on.

Every sample is a pair: a request in plain English, and the one JSON action it
means. A request is put together from four things, and each is split between
training and held-out by a rule, so that a held-out sample never shows the
model a string it was trained on:

  phrasing   a skeleton such as "send {M} to {N}". Skeletons marked "~" are
             "far": none of their wordings is ever trained on. Of all others
             a hash keeps one wording in eight back ("near").
  name       one in eight by hash; real first names and made-up words alike
  amount     one in eight by hash of its digits; job numbers likewise
  ticker     the KNOWN ones are in both sets, since a real user says "usdc";
             made-up ones are split by hash like names

The meaning rules (README, "What it answers") are decided here and nowhere
else: an amount must be written in digits, and its thousands commas are
dropped; a ticker becomes upper case; a name is copied as written; whatever
misses a part, names two, contradicts or negates itself is "unclear".

Standard library only; the same seed gives the same sentences.
"""

import argparse
import hashlib
import json
import random
import re

KNOWN = """BTC ETH USDC USDT DAI SOL BNB XRP ADA DOGE DOT MATIC LTC AVAX LINK ATOM
UNI XLM TRX NEAR FIL APT ARB OP SUI INJ AAVE MKR GRT LDO RPL SNX CRV WETH WBTC
STETH FRAX TUSD PYUSD EURC AKT TAO RNDR FET OCEAN TIA SEI PEPE SHIB ALGO""".split()

QUOTES = "USD EUR GBP JPY CHF BTC ETH USDC USDT DAI".split()

FIRST = """Maria Bob Alice Carlos Chen Priya Omar Ingrid Yuki Fatima Liam Noah Emma
Olivia Sofia Lucas Mateo Elena Ivan Olga Pavel Anya Dmitri Katya Hans Greta
Klaus Heidi Pierre Claire Luc Amelie Giulia Marco Paolo Chiara Jose Lucia Diego
Carmen Ana Pedro Joao Rafael Beatriz Wei Ling Jun Mei Hiro Sakura Kenji Aiko
Minho Jisoo Arjun Anika Rohan Deepa Vikram Lakshmi Ahmed Layla Hassan Zainab
Yusuf Amina Kwame Ama Kofi Abena Chidi Ngozi Tunde Zola Thabo Naledi Sipho Nia
Tom Sam Max Ben Dan Kim Lee Joe Amy Eve Ian Zoe Mia Leo Ada Gus Ray Kai Rex Tia
Alexander Elizabeth Christopher Bartholomew Maximilian Anastasia Konstantin
Guadalupe Francesca Wilhelmina Sebastian Theodora Evangeline Montgomery Nathaniel
Grace Henry Oscar Felix Ruby Hazel Iris Jasper Milo Nora Otto Pearl Quinn Rosa
Silas Tessa Ursula Victor Wanda Xavier Yara Zane Bruno Cleo Dora Edgar Freya
Gideon Hilda Igor Jana Karl Lars Magnus Nadia Orla Petra Ramon Sven Tara Ulric
Vera Wyatt Ximena Yosef Zelda José Zoë Chloé Søren Björn Łukasz Renée Jürgen
Begoña Siân Ayşe Tomás Inés Müller Günter Örjan Élodie Anaïs Noël""".split()

LAST = """Lopez Chen Smith Garcia Okafor Novak Tanaka Silva Kumar Haddad Berg Rossi
Dubois Fischer Petrov Nguyen Park Osei Mensah Dlamini Cohen Ali Khan Singh Reyes
Cruz Moreau Weber Larsen Virtanen Kowalski Horvat Popescu Murphy Walsh Jones
Taylor Brown Wilson Adams Baker Clark Evans Hill King Moore Scott Ward Young""".split()

THINGS = """rent|lunch|dinner|coffee|the tickets|the groceries|my birthday|our trip|the
concert|the taxi|breakfast|the flight|last week|the hotel|the repairs|the invoice|the
design work|drinks|pizza|the book|the game|petrol|the gift|the lessons|his work|her
help|the party|june|the website|the photos|school|the garden""".replace("\n", " ").split("|")

# --- phrasings ---------------------------------------------------------------
# [a|b] picks one, [a|] may be empty. {M} money, {A} bare amount, {T} ticker,
# {U} second ticker, {N} name, {P} second name, {J} job number, {Q} quote.
# "^" in front: an imperative that accepts a polite opening ("could you ...").

TRANSFER = """
^[send|transfer|pay|wire|give|move|forward|shoot|pass|deliver] {M} to {N}
^[send|pay|give|wire|forward|slip|hand] {N} {M}
^[send|transfer|move|wire] {M} [over|across|out|straight|directly] to {N}
^[send|transfer|pay|wire] {M} to {N} for {X}
^[send|pay|give] {N} {M} for {X}
^[send|transfer|move|wire|pay] {M} from [my wallet|my account|my balance|savings] to {N}
^[make|do|start|set up|create] a [transfer|payment] of {M} to {N}
^[make|send] {N} a [transfer|payment] of {M}
^[transfer|send] to {N} {M}
^[send|transfer] [the amount of|exactly|just|only|about] {M} to {N}
^[send|transfer|pay] {M} to [my friend|my sister|my brother|my boss|our friend|the plumber] {N}
^[send|transfer|pay] {M} to {N}'s [wallet|account|address]
^[send|pay|give] {N} [exactly|just|the] {M}
^[settle|clear] my [debt|tab|bill] with {N}, [it is|that's|it's] {M}
^[help me|] [send|get|move] {M} to {N}
^[top up|fund|credit] {N} with {M}
^[top up|fund|credit] {N}'s [wallet|account] [with|by] {M}
^[reimburse|refund|repay|pay back|tip|compensate] {N} [with|] {M}
^[reimburse|refund|repay|tip] {N} {M} for {X}
^[get|put] {M} [into|in] {N}'s [wallet|account]
^[let|] {N} [have|get|receive] {M}
^put {M} in the hands of {N}
to {N}[,|] [send|transfer|pay|wire] {M}
{N} [gets|should get|needs|must receive|is owed|is due|should receive|is to get] {M}[, send it|, please send it|, pay them|]
{M} to {N}
{M} for {N}[, send it|, pay it]
{M} [should go|goes|must go|has to go] to {N}
{M} [from me|from my wallet] to {N}
i owe {N} {M}[, send it|, please pay|, pay it|]
i [need|want|have] to [pay|send] {N} {M}
i [need|want] {M} sent to {N}
i [need|want] {N} to [get|have|receive] {M}
[transfer|payment]: {M} to {N}
[transfer|payment] to {N}: {M}
[transfer|payment] of {M} to {N}
[recipient|to]: {N}, amount: {M}
amount {M}, [recipient|to|payee] {N}
[new|one] payment, {M}, to {N}
{N} asked [me|] for {M}, [send it|pay it|do it]
{N} wants {M}, [send it|ok send it|send them that]
for {X} [send|pay|give] {N} {M}
for {X}, [send|transfer] {M} to {N}
[time to|it's time to] [pay|send] {N} {M}
[can|could] {N} [get|have|receive] {M} from [me|my wallet]
my [friend|sister|brother|boss|cousin] {N} needs {M}[, send it|]
the {X} payment: {M} to {N}
[use|take] my wallet to [pay|send] {N} {M}
^[take|use] {M} and [send|give] it to {N}
^[take|pull] {M} from my [wallet|account] and [send|pay] it to {N}
^[send|transfer|pay|wire|give|move] {M} to {N} {C}
^[send|pay|give|hand|lend|loan|award|grant|donate] {N} {M}
^[lend|loan|award|grant|donate|release|beam|zap|hand over|bring|ship] {M} to {N}
^[issue|process|execute|schedule|approve|authorize|complete|initiate|launch] a [transfer|payment|payout] of {M} to {N}
^[issue|process|execute|approve|authorize|complete] a {M} [transfer|payment|payout] to {N}
^[begin|prepare|arrange] a [transfer|payment] to {N} of {M}
^[debit|charge|withdraw from] my [wallet|account] {M} and [send|pay] {N}
^[debit|draw] {M} from my [wallet|account] for {N}
^[have|get] {M} [sent|transferred|paid|delivered|wired|moved] to {N}
^[have|get] {N} [paid|credited|reimbursed] {M}
^find {N} in my [contacts|address book|list] and [send|pay] {M}
^look {N} up and send {M} [there|over]
^[pay|send] {N} back {M}
^[pay|send] {N} back the {M} [i borrowed|from yesterday|for {X}]
^[pay|send] {N} {M} [which|that] i owe [|for {X}]
^[pay|settle] the {M} i owe [to|] {N}
^[pay|settle] {N}'s [invoice|bill] of {M}
^[donate|contribute|chip in] {M} to {N}'s [fund|cause|gift]
^gift {N} {M}
^gift {M} to {N}
^[add|load|deposit] {M} to {N}'s [wallet|account|balance]
^[deposit|drop off] {M} with {N}
^split nothing, just [send|pay] {N} {M}
we [owe|must pay|have to pay|should pay] {N} {M}
we agreed on {M}, [so|] [send|pay] it to {N}
i [lost|made] a bet, [send|pay] {N} {M}
i [promised|told] {N} {M}, [send|pay] it
i [borrowed|took] {M} from {N}, [send it back|pay it back|return it]
[a|one] [transfer|payment] of {M} [is due|is owed] to {N}
{N} is [owed|due] {M} [for {X}|]
{N} [bought|paid for|ordered|covered] {X}, [send|pay] [them|him|her] {M}
{N} [fixed|cleaned|made|built] {X}, so [send|give] [them|him|her] {M}
{N} [will|shall|is going to] [get|receive] {M} [from me|]
{N} charged [me|us] {M}, pay [it|that]
{N}: {M}
pay {N}: {M}
[my debt to|my bill from] {N} is {M}, [pay|settle] it
to: {N}. amount: {M}
to settle {X}, [pay|send] {N} {M}
[since|because] {N} [helped|drove|cooked], [send|give] [them|him|her] {M}
it is payday, [give|send|pay] {N} {M}
{M} is what {N} [gets|needs|asked for]
{M} is [owed|due] to {N}
{M} [please|now], to {N}
{M} out of my [wallet|account], [into|to] {N}'s
{M}, {N}, [payment|transfer]
salary [for|of] {N}: {M}
~^[route|push|drop|remit] {M} to {N}
~^see that {N} [gets|receives] {M}
~^make sure {M} [reaches|gets to|arrives at] {N}
~^cover {N}'s share, which is {M}
~[what|] {N} is [waiting for|expecting] is {M}, so send it
~send to {N} the sum of {M}
~the payee is {N} and the amount is {M}
~{N} did {X} for me and i owe {M}, pay it
"""

SWAP = """
^[swap|convert|exchange|trade|change|turn] {M} [to|into|for] {U}
^[swap|convert|exchange|trade|change] {M} [to|into|for] {U} [at market|on the market|at the best rate|at the best price|on the exchange]
^[swap|convert|exchange|trade] [my|the] {M} [to|into|for] {U}
^[swap|convert|exchange|trade] {M} from my [wallet|account|balance] [to|into|for] {U}
^[sell|trade in|spend|cash out] {M} for {U}
^[sell|dump] {M} [and|to] buy {U}
^[sell|dump] {M} and [get|take] {U} [instead|for it|]
^[buy|get|get me|buy me] [some|] {U} [with|for|using] {M}
^[use|take|spend] {M} to [buy|get|purchase] {U}
^[use|take] {M} and [buy|get] {U} with it
^[make|do|run] a swap of {M} [to|into|for] {U}
^[make|do|run] a [trade|swap], {M} [to|into|for] {U}
^[put|move] {M} into {U}
^[switch|flip|rotate] {M} [to|into|over to] {U}
^[swap|convert|exchange] into {U} [from|using] {M}
^[swap|convert|exchange] [exactly|just|only|about] {M} [to|into|for] {U}
^[give|pay] {M} [and get|to get|in exchange for] {U}
^[purchase|acquire|order] {U} [with|using|for|paying with] {M}
i [have|hold|own|got] {M}[,| and] [i|] want {U} [instead|for it|]
i [want|need|would like] {U} for [my|] {M}
i [want|need] [some|] {U}, [use|sell|spend|pay with] {M} [for it|]
i want to [swap|convert|exchange] {M} and [get|receive] {U}
i want to [own|hold|have] {U} [instead of|rather than] {M}
[swap|trade|exchange|convert]: {M} [to|for|into] {U}
[swap|trade|convert] {M} > {U}
{M} into {U}
{M} -> {U}
{M} [swapped|converted|changed|exchanged] [to|into|for] {U}
{U} for {M}[, please|]
[my|] {M} should [become|be|turn into] {U}
let {M} become {U}
from {M} to {U}
[new|one] swap, {M}, [to|into] {U}
turn my {M} into [some|] {U}
[can|could] i [get|have|buy] {U} for {M}
[can|could] [i|we] [swap|convert|exchange|trade] {M} [to|into|for] {U}
with {M}[,|] [buy|get] [me|some|] {U}
for {M}[,|] [buy|get] [me|some|] {U}
out of {M} [and|] into {U}
^[swap|convert|exchange|trade] {M} [to|into|for] {U} {C}
^[swap|convert|exchange|trade|sell] [all|] of my {M} [to|into|for] {U}
^[execute|perform|place|submit|process] a [swap|trade|conversion|exchange] [of|from] {M} [to|into] {U}
^[place|submit|enter] an order to [swap|sell|convert|trade] {M} for {U}
^[place|submit|enter] an order to buy {U} [with|for] {M}
^[transform|morph|roll|shift|cycle] {M} into {U}
^[part with|let go of|get out of|leave|exit|offload|unload] {M} [for|and go into|and buy|and get] {U}
^[obtain|grab|pick|fetch|collect] [me|some|] {U} [with|using|in exchange for|in return for] {M}
^[invest|sink|pour] {M} [in|into] {U}
^[invest] {M} [in|into] {U} for me
^[barter|hand over] {M} for {U}
^[reduce|cut] my {T} by {A} and [buy|get] {U}
^swap: {M} [into|to|for] {U}
^go from {M} to {U}
^go long {U} with {M}
^[fund|pay for] [a buy of|buying|a purchase of] {U} with {M}
^convert {M}, [output|target|result] {U}
^[spend|use] {M} on {U}
^[do|make] {M} to {U} as a [swap|trade]
^see how much {U} you get for {M} and [take|buy] it
i [am|was] [selling|swapping|trading|converting] {M} [for|into] {U}
i [prefer|would rather hold|would rather have|would rather own] {U}, [so|] [sell|swap|convert] {M}
i [do not|don't] need {M} any more, [swap|convert|change] it [to|into|for] {U}
i have too [many|much] {T}, [swap|sell|convert] {A} [of them|] [to|into|for] {U}
we [want|need] {U}, [sell|use|swap] {M}
we are [swapping|selling|converting] {M} [to|into|for] {U}
my {T} is up, [sell|swap] {A} [of it|] for {U}
[sell|out]: {M}, [buy|in]: {U}
[sell|selling] {M}, [buy|buying] {U}
buy {U}, [sell|spend] {M}
buying {U} with {M}
{U} is what i want, [sell|use|spend] {M}
{U} please, [pay|paid|bought] with {M}
{M} buys [me|] [how much|] {U}, do it
{M} [is|are] to be [swapped|converted|exchanged] [to|into|for] {U}
{M} => {U}
{M} in, {U} out
[a|one] [swap|trade|conversion] from {M} [to|into] {U}
[trade|exchange] [order|request]: {M} for {U}
take {U} [in place of|over] {M}
time for {U}, [sell|swap] {M}
~^[redeem|liquidate] {M} [for|into] {U}
~^take my {M} and make it {U}
~^[replace] {M} with {U}
~i am done with {M}, give me {U}
~how about we trade {M} for {U}, do it
~[get rid of] {M} and pick up {U}
~market order: {M} into {U}
~what i want is {U}, pay with {M}
"""

BID = """
^[bid|offer|propose] {M} [on|for] job [|number |no. |#|id ]{J}
^[place|make|put|enter|submit|post] a bid of {M} [on|for] job [|number |#]{J}
^[place|make|put|submit] a {M} bid [on|for] job [|number |#]{J}
^[place|make|submit] my [bid|offer] of {M} [on|for] job [|number |#]{J}
^[place|make|submit] an offer of {M} [on|for] job [|number |#]{J}
^bid on job [|number |#]{J} with {M}
^[bid|offer] [for|on] job [|number |#]{J}[,|:|] {M}
^[put|go with] {M} [on|for] job [|number |#]{J} as [a bid|my bid|an offer]
^[set|raise|change|lower] my bid [on|for] job [|number |#]{J} to {M}
^[take part in|join|enter] job [|number |#]{J} [with|at] a bid of {M}
^[try|go for|try to win|try to get] job [|number |#]{J} [with|at|for] {M}
^bid [exactly|just|only|up to] {M} [on|for] job [|number |#]{J}
^[tell|let] job [|number |#]{J} [know|] i bid {M}
^use {M} to bid on job [|number |#]{J}
on job [|number |#]{J}[,|] [bid|i bid|offer|place a bid of|i offer] {M}
for job [|number |#]{J}[,|] [bid|i bid|offer|place a bid of|i offer] {M}
job [|number |#]{J}: bid {M}
job [|number |#]{J}, [bid|my bid is|my offer is|i bid|offer] {M}
bid {M}, job [|number |#]{J}
bid: {M} [on|for] job [|number |#]{J}
my [bid|offer] [for|on] job [|number |#]{J} is {M}
i [bid|offer|want to bid|will bid|am bidding] {M} [on|for] job [|number |#]{J}
i [want|need|would like] job [|number |#]{J} [for|at] {M}
i [can|could|will|would] [do|run|take] job [|number |#]{J} for {M}
we [bid|offer|will bid|want to bid] {M} [on|for] job [|number |#]{J}
{M} [on|for] job [|number |#]{J}
{M} is my [bid|offer] [on|for] job [|number |#]{J}
a bid of {M} [on|for] job [|number |#]{J}
[can|could] we bid {M} [on|for] job [|number |#]{J}
^[bid|offer] {M} [on|for] job [|number |#]{J} {C}
^[name|quote|state] {M} [as|] [our|my|the] [price|bid|offer] [for|on] job [|number |#]{J}
^[make|place|send in|file|record|lodge] [our|my|the] bid [for|on] job [|number |#]{J}: {M}
^[submit|send|file] {M} [as our bid|as my bid|as a bid] [for|on] job [|number |#]{J}
^[send|hand] in [a bid|an offer] of {M} [for|on] job [|number |#]{J}
^[compete|apply] for job [|number |#]{J} [with|at] {M}
^[put in|put down|lay down] {M} [for|on] job [|number |#]{J}
^[match|beat] the others on job [|number |#]{J} with {M}
^[update|move|correct|cut|drop] [our|my|the] bid [for|on] job [|number |#]{J} to {M}
^[ask|charge|request] {M} for job [|number |#]{J}
^[accept|pick up|grab|claim|win] job [|number |#]{J} [for|at] {M}
^[find|open] job [|number |#]{J} and bid {M}
^go to job [|number |#]{J} and [bid|offer] {M}
^[work on|do|run|finish] job [|number |#]{J} for {M}
^bid for me, job [|number |#]{J}, {M}
job [|number |#]{J} {M}
job [|number |#]{J} for {M}
job [|number |#]{J} at {M}
job [|number |#]{J} looks [good|easy|fine], [bid|offer] {M}
job [|number |#]{J} is [open|ours|mine|for us], [bid|offer] {M}
job id {J}, bid amount {M}
bid amount {M}, job id {J}
bid job [|number |#]{J} {M}
[bidding|our bid|our offer]: {M} [on|for] job [|number |#]{J}
[about|regarding|re] job [|number |#]{J}, [bid|offer|we bid|we offer] {M}
[we|i] [can|could|will|would] [take|do|handle|finish|run] job [|number |#]{J} [at|for] {M}
[we|i] [want|need] {M} [for|to do|to run] job [|number |#]{J}
[my|our] price [for|on] job [|number |#]{J} is {M}
[my|our] [bid|price] of {M} [is|goes] for job [|number |#]{J}
{M} is [what|all] i [bid|offer] [on|for] job [|number |#]{J}
{M} bid [on|for] job [|number |#]{J}
{M}, job [|number |#]{J}
to win job [|number |#]{J} [bid|offer] {M}
~^register {M} as our price for job [|number |#]{J}
~^[tender] {M} for job [|number |#]{J}
~job [|number |#]{J} is worth {M} to me, bid that
~let us go in at {M} on job [|number |#]{J}
~for {M} i would take on job [|number |#]{J}, so bid
"""

STAKE = """
^[stake|lock|lock up|bond|delegate] {M}
^[stake|lock|lock up|bond|delegate] {M} [for rewards|for yield|for me|to earn rewards|to earn|for a year|with the pool]
^[stake|lock|bond|delegate] [my|the] {M}
^[stake|lock|bond] [exactly|just|only|another|up to] {M}
^[put|move|place] {M} [into staking|in staking|in the staking pool|into the pool|to stake|up for staking]
^[put|add] {M} to my stake
^[add|deposit] {M} to [the|my] staking [pool|balance|account]
^[increase|raise|grow] my stake by {M}
^[make|start|open|create] a stake of {M}
^[start|begin] staking {M}
^[use|take] {M} [for staking|and stake it|to stake]
^stake {M} from my [wallet|account|balance]
^earn [rewards|yield|interest] on {M} by staking [it|]
^[take] {M} from my [wallet|account|balance] and stake it
i [want|need|would like] {M} staked
i [want|need] to [start staking|stake|lock up] {M}
i have {M}[,| to stake,] stake it
i have {M} [and want|and i want|i want] to stake
[staking|stake]: {M}
[staking|stake] of {M}
{M} [into staking|to stake|for staking|to be staked|in staking]
{M} should be staked
my {M} should [be staked|go into staking|be locked up|be bonded]
[new|one] stake, {M}
[can|could] [i|we] stake {M}
let {M} [earn rewards|be staked]
for [rewards|yield] [stake|lock] {M}
^[stake|lock|bond|delegate] {M} {C}
^[stake|lock|bond|delegate] a [total|sum] of {M}
^[stake|lock up|bond] {M} [out of|from] my [balance|savings|holdings]
^[assign|allocate|pledge|contribute|send] {M} to [staking|the staking pool|my stake]
^[open|begin|create|place] a [new|] [stake|staking position] [of|with] {M}
^[boost|enlarge|extend|top up|expand|build up] my stake [by|with] {M}
^[lock|freeze|tie up|park] {M} [in|for] [staking|the staking pool]
^[lock|tie] {M} up for staking rewards
^[invest|place|hold] {M} [in|as] [staking|a stake]
^[make|let] {M} [earn|work] in [staking|the pool]
^[get|have] {M} [staked|bonded|delegated]
^[bring|raise] my stake up by {M}
^[join|enter] the staking pool with {M}
^put another {M} [on|into] [my stake|stake]
^do a stake of {M}
^do some staking, {M}
^go stake {M}
^secure the network with {M}
^support the network by staking {M}
[i am|i'm] [staking|bonding|locking up] {M}
i [plan|decided|intend] to stake {M}
i'll stake {M}
we [stake|are staking|will stake|want to stake] {M}
my {M} [is|are] idle, stake [it|them]
{M} [is|are] idle, stake [it|them]
{M}: stake [it|them|]
{M}, stake [it|them]
{M} is [for|to go into|going into] staking
[stake|bond] amount: {M}
stake order: {M}
[new|] [delegation|bond] of {M}
staking {M}
with {M} [start|open] a stake
to earn [rewards|yield], [stake|bond|lock] {M}
instead of selling, stake {M}
~^commit {M} to staking
~^set {M} aside as stake
~i would rather have {M} sitting in staking
~have {M} work for me as a stake
~my stake should grow by {M}
"""

PRICE = """
^[show|give|tell|get] me the [price|rate|value|current price|latest price|market price] of {T}[| in {Q}]
^[check|look up|find|get|show|fetch|find out] the [price|rate|value|current price|latest price] of {T}[| in {Q}]
^[check|look up|find|get|show|fetch] [the|] {T} price[| in {Q}]
^[quote|price] {T}[| in {Q}]
^[quote|price] [me|] {T}[| in {Q}]
^tell me what {T} [costs|is worth|trades at|is trading at][| in {Q}]
^tell me how much {T} [costs|is worth|is][| in {Q}]
^[check|see] what {T} [costs|is worth|trades at][| in {Q}]
what is the [price|rate|value|current price|going rate|latest price|market price] of {T}[| in {Q}][?|]
what's the [price|rate|value|current price|latest price] of {T}[| in {Q}][?|]
what's the {T} [price|rate][| in {Q}][?|]
what's [the price for|] {T} [in {Q}|at|worth|trading at][?|]
what is {T} worth[| in {Q}][?|]
what is {T} [trading at|going for|at][| in {Q}][?|]
what does {T} [cost|trade at|go for][| in {Q}][?|]
what price is {T}[| in {Q}][?|]
how much is {T}[| worth][| in {Q}][?|]
how much does {T} cost[| in {Q}][?|]
how much for {T}[| in {Q}][?|]
how much {Q} is [one|a|1] {T}[?|]
how [expensive|high|low] is {T}[| in {Q}][?|]
how is {T} [doing|priced][| in {Q}][?|]
{T} price[| in {Q}][?|]
{T} [rate|value|quote][| in {Q}][?|]
{T} in {Q}[?|]
[price|rate|value] of {T}[| in {Q}][?|]
[price|quote] for {T}[| in {Q}][?|]
[current|latest] {T} price[| in {Q}][?|]
i [want|need] [the price of|the rate of|a price for|a quote for] {T}[| in {Q}]
i [want|need|would like] to know the [price|rate|value] of {T}[| in {Q}]
i [want|need] to know [what|how much] {T} [costs|is worth][| in {Q}]
do you know [the price of|what's the price of|the rate of] {T}[| in {Q}][?|]
[is|has] {T} up[?|] [what's|show] the price[| in {Q}]
the [price|rate] of {T}[| in {Q}][, please|?|]
at what price [is|does] {T} [trading|trade][| in {Q}][?|]
^[show|give|tell|get] me the [price|rate|value] of {T}[| in {Q}] {C}
^[report|display|print|state|read me|fetch me] the [price|rate|value] of {T}[| in {Q}]
^[report|display|print|read me|fetch me|grab] the {T} [price|rate|quote][| in {Q}]
^[look|go] and see what {T} costs[| in {Q}]
^[let me know|say|find out] [what|how much] {T} [costs|is worth][| in {Q}]
^[let me know|say] the price of {T}[| in {Q}]
^[convert|express] the price of {T} in {Q}
^[get|fetch|find|show] [me|] a [price|quote|rate] for {T}[| in {Q}]
^[check|see|watch] {T}[| in {Q}] [price|rate]
^[check|see] [on|] {T}'s [value|rate][| in {Q}]
^[check|find] how {T} is [priced|doing] [in {Q}|]
^look at [the market|the chart] and tell me the {T} price
what [would|will] [a|one] {T} cost [me|][| in {Q}][?|]
what [must|do] i pay for [a|one] {T}[| in {Q}][?|]
what do people pay for {T}[| in {Q}][?|]
what is one {T} [worth|in {Q}][?|]
what is [the cost|the quote|the market value|the spot price|the exchange rate] [of|for] {T}[| in {Q}][?|]
what is {T}'s [price|value|rate][| in {Q}][?|]
what's one {T} [worth|] in {Q}[?|]
what's {T} [selling|going] for[| in {Q}][?|]
whats the price of {T}[| in {Q}][?|]
how much [would|will] [a|one|] {T} cost[| me][| in {Q}][?|]
how much [do|must] i pay for [a|one|] {T}[| in {Q}][?|]
how many {Q} [for|to] [one|a|1] {T}[?|]
how many {Q} is {T}[?|]
how [much|many] {Q} [does|do] {T} cost[?|]
how does {T} [trade|look][| in {Q}][,|] price only
[price|rate] {T}[|,] {Q}
[price|rate] [check|please|now]: {T}[| in {Q}]
price [check|lookup] [for|on] {T}[| in {Q}]
{T} to {Q} [rate|price][?|]
{T}/{Q} [price|rate]
{T} against {Q}[, price|, what rate][?|]
{T} [cost|worth][| in {Q}][?|]
{T}'s [price|rate|value][| in {Q}][?|]
{T}, [how much|what price|price][| in {Q}][?|]
[i'm|i am] [curious about|wondering about|asking for] the [price|value] of {T}[| in {Q}]
i [wonder|forgot|must know] what {T} [costs|is worth][| in {Q}]
i am thinking of buying {T}, what's the price[| in {Q}][?|]
we need [the|today's] {T} [price|rate][| in {Q}]
[today's|the latest|the current] [price|rate] [of|for] {T}[| in {Q}][?|]
[today's|the latest|the current] {T} [price|rate][| in {Q}][?|]
[is|are] you able to [show|check] the price of {T}[| in {Q}][?|]
before i sell, [what's the price of|how much is] {T}[| in {Q}][?|]
~where does {T} stand[| in {Q}] [right now|now][?|]
~^pull up {T}'s price[| in {Q}]
~what would one {T} set me back[| in {Q}][?|]
~any idea what {T} goes for[| in {Q}][?|]
~^give me a quote on {T}[| in {Q}]
"""

# Unclear: nearly every line is a near miss of a line above, since that is
# what the model must tell apart.
UNCLEAR = """
^[send|transfer|pay|wire|give|move] {T} to {N}
^[send|transfer|pay|give] [some|a few|all my|half my|a little|lots of|more|my|enough|the rest of my] {T} to {N}
^[send|transfer|pay|give] {W} {T} to {N}
^[send|pay|give] {N} [some|{W}|all my|a few|my|] {T}
^[send|transfer|pay|wire|move] {M}
^[send|transfer|pay|wire] {M} [please|now|over|to|today|for {X}|from my wallet]
^[send|transfer|pay|wire] {M} to [someone|my friend|them|him|her|the usual|whoever|everyone|my sister|a friend|the address]
^[send|transfer|pay|wire|give] {A} to {N}
^[send|pay|give] {N} {A}
^[send|pay|give] {N} [money|some money|something|a tip|the money|what i owe|it|the rest]
^[send|transfer|pay] [money|some money|something|it|the money|everything|funds] to {N}
^[send|transfer|pay|wire] {M} to {N} [and|or] {P}
^[send|transfer|pay|wire] {M} to {N} [and|,] {M} to {P}
^[send|pay|give] {N} [and|or] {P} {M}
^[send|transfer|pay] {M} to {N}, [no|wait|sorry|i mean|actually|or rather] {P}
^[send|transfer|pay] {M} to {N}, [no wait|wait|sorry|actually|i mean|no,] {A}
^[send|transfer|pay] {M} to {N}, [no wait|actually|no|] [don't|do not|don't do it|forget it|never mind|cancel that|not yet|maybe later]
^[send|transfer|pay|give] {A} or {B} {T} to {N}
^[send|transfer|pay] {A} {T} or {U} to {N}
^[send|transfer|pay] [between {A} and {B}|{A} to {B}] {T} to {N}
^[send|pay|give] {N} {A} or {B} {T}
^[send|pay] {N} {A} {T} or {U}
[don't|do not|never|please don't|please do not] [send|transfer|pay|wire|give] {M} to {N}
[don't|do not|never|please don't] [send|pay|give] {N} {M}
[don't|do not|never] [swap|convert|exchange|sell] {M} [to|into|for] {U}
[don't|do not|never] [bid|offer] {M} on job {J}
[don't|do not|never] [stake|lock|bond] {M}
[did|has] {N} [send|sent|pay|paid|get|got|received] {M}[?|]
[when|why] did {N} [send|pay|get] {M}[?|]
{N} [sent|paid|gave] me {M}[ yesterday|]
[should|must] i [send|pay] {N} {M}[?|]
[should|must] i [swap|convert|stake|sell] {M}[?|]
[should i|what if i] [stake|buy|sell|bid] {M}[?|]
what happens if i [send|pay] {N} {M}[?|]
{N} [owes|should pay|must send] me {M}
{N} and {P} [get|should get|need] {M}
{M} [to|for] {N} [and|or] {P}
{N} needs [money|help|{T}|some {T}]
^[swap|convert|exchange|trade|change] {T} [to|into|for] {U}
^[swap|convert|exchange|trade] [some|all my|half my|{W}|my|the rest of my] {T} [to|into|for] {U}
^[swap|convert|exchange|trade|sell] {M}
^[swap|convert|exchange|trade|sell] {M} [for|to|into] [something|something else|anything|a better one|cash|whatever]
^[swap|convert|exchange|trade] {M} [to|into|for] {U} [or|and] {V}
^[swap|convert|exchange] {A} or {B} {T} [to|into|for] {U}
^[swap|convert|exchange] {M} [to|into|for] {U}, [no|wait|actually|no wait|sorry|i mean] {V}
^[swap|convert|exchange] {M} [to|into|for] {U}, [no|no wait|actually] [don't|do not|forget it|never mind]
^[swap|convert] {A} [to|into|for] {U}
^[buy|get me|buy me] [some|] {U}
^[buy|get me|buy me] {M}
^[buy|get] {U} with [some|my|all my|] {T}
^[swap|convert] {M} [to|into] {U} and [send|pay|give] it to {N}
^[swap|convert] {M} [to|into] {U} and [stake|bond] {A} {U}
^[stake|bond] {M} and [send|pay] {N} {A} {U}
^[bid|offer|propose] on job [|number |#]{J}
^[place|make|submit] a bid on job [|number |#]{J}
^[place|make|submit] a [bid|offer] of {M}
^[place|make|submit] a [bid|offer]
^[bid|offer] {M}
^[bid|offer] {M} on [a job|the job|some job|that job|the next job|any job|it]
^[bid|offer] {A} on job [|number |#]{J}
^[bid|offer] [some {T}|{T}|{W} {T}|something|a bit of {T}|more] on job [|number |#]{J}
^[bid|offer] {A} or {B} {T} on job [|number |#]{J}
^[bid|offer] {M} on job {J} [or|and] [job|] {K}
^[bid|offer] {M} on job {J}, [no|wait|sorry|actually|i mean] [job|] {K}
^[bid|offer] {M} on job {J}, [no|no wait|actually] [don't|forget it|never mind]
^[bid|offer] {A} {T} or {U} on job {J}
[what|how much] should i bid on job {J}[?|]
[who|how many] bid on job {J}[?|]
^[show|open|cancel|finish|close] job {J}
^[stake|lock|bond|delegate] [some|all my|half my|{W}|my|a bit of|] {T}
^[stake|lock|bond] {A}
^[stake|lock|bond] {A} or {B} {T}
^[stake|lock|bond] {A} {T} or {U}
^[stake|lock|bond] {M} [and|, and] {A} {U}
^[stake|bond] {M}, [no wait|actually|no] [don't|forget it|never mind|not yet]
^[unstake|withdraw|release|claim] {M}
^stake [it|something|everything|more|for me|my coins]
how do i [stake|swap|bridge|buy|sell] {T}[?|]
is {T} [safe|good|a scam|worth it|real][?|]
why is {T} [down|up|so slow|falling][?|]
what is {T}[?|]
what is the [price|rate][?|]
what's the price[| now| today][?|]
how much is it[?|]
how much [does it cost|do i have|is left][?|]
^[show|tell|give] me the [price|rate]
^[check|get|show] the price of [it|that|something|my coin|the coin|the token|everything]
^[show|check|get] the price of {T} [and|or] {U}
what is the price of {T} [and|or] {U}[?|]
how much is {T} or {U}[?|]
[hello|hi|hey|good morning|good evening|yo|hi there|hello there|thanks|thank you|ok|okay|yes|no|sure|bye|goodbye|cool|great|nice|stop|wait|help]
[how are you|who are you|what can you do|what's up|are you there|do you like music|what time is it|can you help me][?| today?|]
[tell me a joke|sing me a song|write a poem|open the door|call my mother|play some music|turn off the lights|set an alarm for {A}]
[what's|how is] the weather [today|tomorrow|in paris|like][?|]
[i am|i'm] [tired|hungry|bored|happy|late|at home|in the office]
[i like|i love|i hate|i miss] [coffee|{T}|{N}|the sea|my job|tea|music]
{N} is [my friend|my sister|nice|here|late|at work|from spain]
{N} and {P} are [here|friends|late|on holiday]
where is {N}[?|]
[call|email|text|ask|meet] {N} [|tomorrow|at {A}|about {X}|about {T}]
[meet|see] {N} at {A}
remind me to [pay|call|send it to] {N}
my [favourite|lucky] number is {A}
the [meeting|party|call] is at {A}
[job|the job|job {J}] is [done|late|hard|over]
[what is|who posted|show me] job {J}[?|]
{N}
{T}
{A}
{M}
[transfer|send|pay|swap|bid|stake|price]
[can|could] you [transfer|send|swap|bid|stake] [something|it|that|money][?|]
the [weather|food|music|book|film] [was|is] [good|bad|great|nice|terrible]
[what|who] is {N}[?|]
[i want to|i need to] [send|swap|stake|bid|buy|sell|pay]
^[divide|share|distribute] {M} [among|with] {N} and {P}
^[send|pay|wire] {M} to [both|] {N} as well as {P}
^[send|pay|wire] {M} to [either|] {N} or [maybe|perhaps|] {P}
^[send|pay|give] [both|either|] {N} [and|or] {P} {M} [each|]
^[send|pay|give] {N} a [bit|lot|little|pile|load] of {T}
^[send|pay|give] {N} [about half|most|a third|part|a share|the remainder] of my {T}
^[send|pay|give] {N} [as many|whatever|the usual|the same amount of|the right amount of|plenty of] {T}
^[send|wire|transfer] {N} the {T} [i owe|we agreed on|from before|as always|like last time]
^[send|pay|transfer] {M} to {N} [if|when|once|after|unless|until|only if] [the price goes up|he calls|she asks|it rains|i say so|{P} agrees|the job is done]
^[send|pay|transfer] {M} to {N} [if|when|once] {T} [goes up|drops|falls]
^[swap|sell|stake] {M} [if|when|once|unless] [the price goes up|it drops|i say so|it falls]
^[swap|sell] {M} [for|into] {U} [if|when|once] {V} [drops|goes up|is cheap]
^[swap|convert|exchange] {M} [to|into|for] [either|] {U} or [maybe|perhaps|] {V}
^[swap|convert|exchange] [enough|plenty of|a bit of|most of my|a third of my] {T} [to|into|for] {U}
^[undo|reverse|refuse|reject|block|stop|delay|postpone] the [transfer|payment] of {M} to {N}
^[undo|reverse|stop|delay|postpone] the [swap|trade] of {M}
^[undo|reverse|stop|delay] the [bid|offer] on job {J}
^[undo|reverse|stop|end] [the|my] stake of {M}
^[cancel|stop] [the|my] [payment|transfer] to {N}
^[cancel|withdraw|pull|retract] my bid [on|for] job {J}
^[ask|tell|remind|invite|warn|thank] {N} [to|and] [send|pay] {M}
^[ask|tell|remind] {N} [about {M}|that i sent {M}|to stake {M}]
^[request|collect|demand|get] {M} from {N}
^[receive|take|borrow] {M} from {N}
^[send|pay] {M} to {N}, or [maybe not|better not|should i wait]
^[send|pay] {M} to {N}, but [not|not yet|wait|don't]
^[bid|offer] {M} on [this|one of the|every|all|another] job
^[bid|offer] [enough|the most|as little as possible|whatever it takes|the minimum] [of {T}|] on job {J}
^[bid|offer] {M} on jobs {J} and {K}
^[stake|bond|lock] [enough|plenty of|most of my|a third of my|as much as possible of my] {T}
^[stake|bond] {M} or {B} {U}
^[stake|bond] {A} {T}, [no|actually|sorry|i mean] {B}
^[watch|follow|learn about|explain] {T}
^[explain|describe|define] [what {T} is|staking|bidding|the market|a swap]
^[show|list|print] my [balance|wallet|orders|jobs|bids|stakes|history|contacts]
[maybe|perhaps] [i should|we should|i will] [send|pay] {N} {M}
[maybe|perhaps] [i should|we should|i will] [swap|stake|sell] {M}
[can|will|would|does] {N} [send|pay|give] me {M}[?|]
[have|had] [i|we|you] [already|] [sent|paid] {N} {M}[?|]
[have|had] [i|we|you] [already|] [swapped|staked|sold] {M}[?|]
[i|we] [already|] [sent|paid|gave] {N} {M} [yesterday|last week|]
[i|we] [already|] [swapped|staked|sold|bought] {M} [yesterday|last week|]
[i|we] [might|may] [send|pay] {N} {M} [later|tomorrow|]
[i|we] [might|may] [swap|stake|sell|bid] {M} [later|tomorrow|]
i [never|didn't|did not] [send|pay|sent|paid] {N} {M}
i will not [send|pay|give] {N} {M}
it would be [wrong|silly|bad] to [send|pay] {N} {M}
{N} [will|can|must] pay me back {M}
{N} has {M}
{N} [won|lost|earned|found|stole|bid|staked|swapped] {M}
{N} lives in paris
{N} [and|or] {P}
{T} [and|or] {U}
{T} is [up|down|great|dead|a coin]
{T} [went up|fell|dropped] by {A}
my balance is {M}
do i have {M}[?|]
what is {A} plus {B}[?|]
how much {T} [do i|does {N}] have[?|]
how much {T} should i [send|stake|swap|buy][?|]
how much did {N} pay[?|]
how much is {N}[?|]
how [old|tall|far] is {N}[?|]
who [is|sent|owes] [{N}|{M}|me money][?|]
when [is|does] the [market|bank|shop|job] [open|close|end][?|]
where can i [buy|stake|sell|swap] {T}[?|]
which [job|wallet|validator|chain] is [best|cheapest|fastest][?|]
why [can't|don't] i [send|stake|swap] {T}[?|]
was the price of {T} {A} [yesterday|last week][?|]
will {T} [go up|reach {A}|fall][?|]
[the price of|i bought] {T} [was|at] {A}
[a|the] [cat|dog|bird|car|house] [is|was] [small|red|gone|on the roof]
[dogs|cats|birds|cars] are [fast|loud|fun]
[read|bring|find] me [the news|a story|my keys|a book]
[we|they] [went|walked|drove] to the [sea|shop|station|park]
[let's|we should] [talk|eat|go home|dance|meet at {A}]
~^[send|wire] {M} to one of {N} and {P}
~^[split] {M} between {N} and {P}
~^pay {N} whatever i owe in {T}
~^[send|wire] {N} as much {T} as you can
~i am not sure whether to send {N} {M}
~^swap {M} into {U} unless {V} is better
~^hold off on staking {M}
~^bid on job {J} with as much {T} as it takes
~^bid {M} on whichever job is next
~the quick brown fox jumps over the lazy dog
~which coin should i buy[?|]
~{N} told me a story about {X}
~^get me the price of whatever {N} bought
~^take back the {M} i sent to {N}
~^cancel the swap of {M} into {U}
"""

WORDS = """one two three four five six seven eight nine ten twelve fifteen twenty thirty
forty fifty sixty hundred|a hundred|two hundred|a thousand|a million|five hundred|twenty
five|a dozen|half a|a couple of""".replace("\n", " ")
WORDS = [w for part in WORDS.split("|")[:1] for w in part.split()] + WORDS.split("|")[1:]

OPEN_COMMAND = """please|can you|could you|would you|can you please|could you please|i want to|i'd
like to|i would like to|i need to|i need you to|i want you to|let's|go ahead and|kindly|just|now|next|help
me|help me to|you can|you should|you may|please go ahead and|we need to|we should|i have to|be so kind and|time
to|ready to|would you please|will you|do me a favor and|if you can,|when you have time,|let me|i'd love
to|we want to|quickly|try to|it's time to|i wish to|make sure you|i'd
appreciate it if you could|would it be possible to|is it possible to|are you able to|might you|i ask you to|i'm asking you
to|i'm ready to|i am going to|i'm going to|we have to|we must|i must|i will|i'd prefer to|i think i'll|i decided
to|feel free to|remember to|start to|hurry and|and|then|also|now please|first,|finally,|my plan is
to|the task is to|your job is to|i order you to|you need to|you must|how about you|why don't you|can we|could we|may
i|can i""".replace("\n", " ").split("|")

OPEN_ANY = """hey,|hi,|hello,|ok,|okay,|ok so|hi there,|hey there,|good morning,|so,|alright,|right,|listen,|yo,|well,|um,|hello
there,|good evening,|it's me again.|one more thing:|another one:|new request:|thanks for that.|great, now|i am in
a hurry.|sorry to bother you.|hope you are well.|long day.|back again.|i'm home.|hey bot,|assistant,|dear
assistant,|quick one:|hey you,|lovely day.|i just woke up.|greetings.|good day.|dear
friend,|thanks.|thank you so much.|perfect.|that worked.|great job.|oh,|oh wait,|hmm,|see,|look,|as i said,|as discussed,|by the
way,|note:|task:|request:|my boss called.|the market is open.|it's monday.|busy morning.|i have a minute.|the sun is
out.|i had a good week.|it's getting late.|nice to meet you.|how are you?|are you there?|quick question:|question:|urgent:|to
do:|today's order:|just so you know,|honestly,|fine,|good,|no problem,|sure,|yes,|yeah,""".replace("\n", " ").split("|")

CLOSE = """please|, please|thanks|, thanks|, thank you|now|right now|asap|today|, ok?|, okay?|when you can|, will
you|as soon as possible|for me|, if you can|, cheers|, quickly|, it's urgent|, no rush|. thanks|. thank you|, that's
all|this morning|tonight|, many thanks|. it's important|, i am in a hurry|, thanks a lot|immediately|, have a
nice day|. i'll wait|, i'd appreciate it|. much obliged|. appreciate it|, sir|, my friend|, buddy|, would you|, can you|, right
away|at your convenience|whenever you can|this evening|before i forget|. that is all|. that's it|. good
night|. bye|. do it now|. hurry up|. go|, go ahead|. confirm|, and thanks|, and that's it|. regards|. best
wishes|. talk soon|, if possible|, if it's not too much|, nothing else|, got it?|, alright?|. ok|. don't be late""".replace("\n", " ").split("|")

# {C}: where a purpose or a courtesy may stand inside the sentence.
INNER = """for {X}|as agreed|like last time|as a favor|at once|right away|this minute|before lunch|without
delay|as planned|on my behalf|this evening|after all|once more|again|as usual|straight away|by the end of the
day|in one go|if that works|as we said""".replace("\n", " ").split("|")

# Typing mistakes in the phrasing's words: what is not a name has to be
# understood, not recognised letter for letter.
TYPOS = 0.05

FAR_OPEN = """whenever it suits you,|i was wondering if you could|pretty please|any chance you could|my good
friend,|be a dear and""".replace("\n", " ").split("|")
FAR_OPEN_ANY = """what a week.|here goes:|first of all,|just got paid.""".replace("\n", " ").split("|")
FAR_CLOSE = """, much appreciated|before noon|, don't be slow|. you are the best""".replace("\n", " ").split("|")


def _lines(text):
    return [line for line in text.strip().split("\n") if line]


SKELETONS = {"transfer": _lines(TRANSFER), "swap": _lines(SWAP), "bid": _lines(BID),
             "stake": _lines(STAKE), "price": _lines(PRICE), "unclear": _lines(UNCLEAR)}
SHARES = {"transfer": 25, "swap": 18, "bid": 13, "stake": 9, "price": 12, "unclear": 23}


def held_out(kind, text):
    """True for the one string in eight that training never sees."""
    return hashlib.sha256((kind + ":" + text).encode()).digest()[0] < 32


# Words of the phrasings themselves: a made-up name that reads "please" would
# make a sentence nobody could label.
RESERVED = set(re.findall(r"[a-z]+", " ".join(
    [TRANSFER, SWAP, BID, STAKE, PRICE, UNCLEAR] + WORDS + OPEN_COMMAND + OPEN_ANY
    + CLOSE + THINGS + INNER + FAR_OPEN + FAR_OPEN_ANY + FAR_CLOSE).lower()))


class Generator:
    def __init__(self, seed, heldout=False):
        self.rng = random.Random(seed)
        self.heldout = heldout
        self.actions = list(SHARES)
        self.weights = [SHARES[a] for a in self.actions]
        self.skeletons = {a: ([s for s in SKELETONS[a] if not s.startswith("~")],
                              [s for s in SKELETONS[a] if s.startswith("~")])
                          for a in self.actions}

    def _split(self, kind, make):
        """Draw until the string belongs to our side of the split."""
        while True:
            text = make()
            if held_out(kind, text.lower()) == self.heldout:
                return text

    # --- the pieces ----------------------------------------------------------

    def _letters(self, low, high, flat):
        """A made-up word: either evenly random letters, so that copying is
        learnt as a procedure, or syllables, so that it looks like a word."""
        r = self.rng
        n = r.randint(low, high)
        if flat:
            return "".join(r.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(n))
        out = ""
        while len(out) < n:
            out += r.choice(("b br c ch d dr f fl g gr h j k kr l m n p pl pr qu r s sh sl st t th tr v w y z "
                             "x sc sp t s m").split())
            out += r.choice("a e i o u a e i o ai ea ou ee io ie".split())
            if r.random() < 0.35:
                out += r.choice("n r s l m t d k nd x rt ck ss ll p b".split())
        return out[:n]

    def _name_once(self):
        r = self.rng
        x = r.random()
        if x < 0.33:
            name = r.choice(FIRST)
        else:
            name = self._letters(2 if x < 0.4 else 3, r.choice((5, 7, 9, 12, 14)), r.random() < 0.45).capitalize()
        y = r.random()
        if y < 0.10:
            last = r.choice(LAST) if r.random() < 0.4 else self._letters(3, 9, r.random() < 0.3).capitalize()
            name += " " + last
        elif y < 0.13:
            name += r.choice("-_") + self._letters(2, 6, r.random() < 0.4)
        elif y < 0.17:
            name += str(r.randint(1, 999))
        z = r.random()
        if z < 0.12:
            name = name.lower()
        elif z < 0.14:
            name = name.upper()
        return name

    def name(self):
        while True:
            n = self._split("name", self._name_once)
            if not RESERVED & set(re.split(r"[^a-z]", n.lower())):
                return n

    def _rare_ticker(self):
        r = self.rng
        while True:
            t = self._letters(2, r.choice((3, 4, 5, 5, 6, 7)), r.random() < 0.6)
            if r.random() < 0.04:
                t += str(r.randint(1, 99))
            if t not in RESERVED and t.upper() not in KNOWN and t.upper() not in QUOTES:
                return t.upper()

    def ticker(self, other_than=()):
        while True:
            if self.rng.random() < 0.45:
                t = self.rng.choice(KNOWN)
            else:
                t = self._split("ticker", self._rare_ticker)
            if t not in other_than:
                return t

    def spell(self, t):
        x = self.rng.random()
        if x < 0.44: return t
        if x < 0.92: return t.lower()
        if x < 0.97: return t.capitalize()
        return "$" + t

    def _amount_once(self):
        r = self.rng
        x = r.random()
        if x < 0.20: return str(r.randint(1, 99))
        if x < 0.40: return str(r.randint(100, 99999))
        if x < 0.44: return str(r.choice((1, 2, 5, 25, 12, 75))) + "0" * r.randint(1, 5)
        if x < 0.60: return "0." + "".join(r.choice("00123456789") for _ in range(r.randint(0, 5))) + r.choice("123456789")
        if x < 0.76: return "%d.%d" % (r.randint(1, 999), r.randint(1, 99))
        if x < 0.84: return "%d.%02d" % (r.randint(1, 9999), r.randint(0, 99))
        if x < 0.93: return format(r.randint(1000, 9999999 if r.random() < 0.4 else 99999), ",")
        return format(r.randint(1000, 999999), ",") + ".%02d" % r.randint(0, 99)

    def amount(self):
        while True:
            a = self._amount_once()
            if held_out("amount", a.replace(",", "")) == self.heldout:
                return a

    def job(self):
        return self._split("job", lambda: str(self.rng.randint(1, self.rng.choice((99, 999, 9999, 999999)))))

    # --- the sentence --------------------------------------------------------

    def _choose(self, skeleton):
        while "[" in skeleton:
            skeleton = re.sub(r"\[([^\[\]]*)\]", lambda m: self.rng.choice(m.group(1).split("|")), skeleton)
        return re.sub(r"  +", " ", skeleton).strip()

    def _phrasing(self, action):
        """(phrasing, accepts an opening, kind): kind names the split."""
        r = self.rng
        near, far = self.skeletons[action]
        use_far = self.heldout and r.random() < 0.4
        while True:
            s = r.choice(far if use_far else near)
            command = "^" in s[:2]
            s = self._choose(s.lstrip("~^"))
            if use_far: return s, command, "far"
            # A phrasing with one wording only cannot be split; it stays in training.
            if held_out("phrasing", s) == self.heldout: return s, command, "near"

    def _typo(self, s):
        words = [m for m in re.finditer(r"(?<![{\w'])[a-z]{4,}(?![}\w'])", s)]
        if not words: return s
        m = self.rng.choice(words)
        w = m.group()
        i = self.rng.randint(1, len(w) - 2)
        w = self.rng.choice((w[:i] + w[i + 1:], w[:i] + w[i] + w[i:], w[:i] + w[i + 1] + w[i] + w[i + 2:]))
        return s[:m.start()] + w + s[m.end():]

    def sample(self, action=None):
        r = self.rng
        action = action or r.choices(self.actions, self.weights)[0]
        s, command, kind = self._phrasing(action)

        s = s.replace("{C}", r.choice(INNER))
        # Opening and closing words carry no meaning; they only have to be ignored.
        far_words = self.heldout and r.random() < 0.15
        if command and r.random() < 0.5:
            s = r.choice(FAR_OPEN if far_words else OPEN_COMMAND) + " " + s
        if r.random() < 0.14:
            s = r.choice(FAR_OPEN_ANY if far_words else OPEN_ANY) + " " + s
        if s.endswith("?"):
            pass
        elif r.random() < 0.2:
            c = r.choice(FAR_CLOSE if far_words else CLOSE)
            s += c if c[0] in ",." else " " + c
        elif r.random() < 0.3:
            s += r.choice("....!!")

        if r.random() < TYPOS: s = self._typo(s)
        style = r.random()
        if style < 0.5:
            # "i" in the skeletons stands for the pronoun; half the writers care.
            s = re.sub(r"\bi\b", "I", s)
        if style < 0.42 and s[0].islower():
            s = s[0].upper() + s[1:]

        t = self.ticker()
        u = self.ticker((t,))
        v = self.ticker((t, u))
        a, b = self.amount(), self.amount()
        name = self.name()
        other = self.name()
        j, k = self.job(), self.job()
        quote = r.choice(QUOTES)
        while quote == t:
            quote = r.choice(QUOTES)
        glue = "" if r.random() < 0.04 and "$" not in s else " "
        said_t, said_u, said_v, said_q = self.spell(t), self.spell(u), self.spell(v), self.spell(quote)
        if glue == "" and said_t[0] == "$": glue = " "
        money = a + glue + said_t
        if r.random() < 0.02 and said_t[0] != "$": money = said_t + " " + a

        has_quote = "{Q}" in s
        for slot, text in (("{M}", money), ("{A}", a), ("{B}", b), ("{T}", said_t), ("{U}", said_u),
                           ("{V}", said_v), ("{N}", name), ("{P}", other), ("{J}", j), ("{K}", k),
                           ("{Q}", said_q), ("{X}", r.choice(THINGS)), ("{W}", r.choice(WORDS))):
            s = s.replace(slot, text)
        s = re.sub(r" +([,.!?:])(?!\d)", r"\1", s)

        plain = a.replace(",", "")
        answer = {
            "transfer": {"action": "transfer", "amount": plain, "token": t, "to": name},
            "swap": {"action": "swap", "amount": plain, "from": t, "to": u},
            "bid": {"action": "bid", "job": j, "amount": plain, "token": t},
            "stake": {"action": "stake", "amount": plain, "token": t},
            "price": {"action": "price", "token": t, "in": quote if has_quote else "USD"},
            "unclear": {"action": "unclear"},
        }[action]
        return s, json.dumps(answer, separators=(",", ":"), ensure_ascii=False), kind


def template_text():
    """All phrasing words with the slots cut out: what the vocabulary learns from."""
    g = Generator(7)
    out = []
    for _ in range(30000):
        action = g.rng.choices(g.actions, g.weights)[0]
        s, command, _ = g._phrasing(action)
        if command and g.rng.random() < 0.5: s = g.rng.choice(OPEN_COMMAND) + " " + s
        if g.rng.random() < 0.14: s = g.rng.choice(OPEN_ANY) + " " + s
        if g.rng.random() < 0.2:
            c = g.rng.choice(CLOSE)
            s += c if c[0] in ",." else " " + c
        s = s.replace("{X}", g.rng.choice(THINGS))
        # A slot leaves a digit behind, so that a word next to it keeps its space.
        out.append(re.sub(r"\{.\}", "0", s))
    return out


def main():
    p = argparse.ArgumentParser(description="Write request/answer pairs as JSON lines.")
    p.add_argument("--count", type=int, default=900)
    p.add_argument("--seed", type=int, default=2026)
    p.add_argument("--train", action="store_true", help="from the training side of the split")
    p.add_argument("--out", default="-")
    args = p.parse_args()
    g = Generator(args.seed, heldout=not args.train)
    lines = []
    for _ in range(args.count):
        request, answer, kind = g.sample()
        lines.append(json.dumps({"request": request, "answer": answer, "kind": kind}, ensure_ascii=False))
    text = "\n".join(lines) + "\n"
    if args.out == "-":
        print(text, end="")
    else:
        with open(args.out, "w", encoding="utf-8") as f:
            f.write(text)


if __name__ == "__main__":
    main()
