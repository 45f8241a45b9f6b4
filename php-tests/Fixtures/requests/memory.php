<?php

declare(strict_types=1);

/*
 * Reads a reply with hardly any memory left: `pages` pages of 4 KB (and `small` small pieces used up before, so that not every
 * run meets its end at the same place), or what `extra` bytes on top of memory_limit's present value allow.
 */

if (PHP_SAPI === 'cli') {
    parse_str($argv[1], $_GET);
}

const PAGE = 4096;
/** A string that takes one page exactly. */
const FILLS_A_PAGE = 4000;
const CHUNK = 2 << 20;

$redis = new ResilientRedis($_GET['endpoint']);
$redis->ping();
$script = 'local t = {} for i = 1, 60 do t[i] = {i, {"text " .. i, {string.rep("x", i * 7 % 600), {i}}}} end return t';

// What is sent stands ready before memory runs short: it is the replies that meet the end.
$pipeline = $redis->pipeline(['atomic' => $_GET['reply'] === 'atomic pipeline']);
$pipeline->get('token');
for ($i = 0; $i < 6; $i++) {
    $pipeline->lrange('list', $i, $i + 4)->hgetall('hash')->get('nothing')->eval($script, 0);
}

$filler = new SplFixedArray(2 * CHUNK / PAGE);
$small = new SplFixedArray((int) ($_GET['small'] ?? 0));
for ($i = 0; $i < count($small); $i++) {
    $small[$i] = str_repeat('s', 10 + $i * 8);
}
$now = memory_get_usage(true);
if (isset($_GET['extra'])) {
    ini_set('memory_limit', (string) ($now + (int) $_GET['extra']));
} elseif (isset($_GET['pages'])) {
    // One more chunk and no further. When the heap enters it, what came before is full.
    ini_set('memory_limit', (string) ($now + CHUNK));
    for ($used = 0; memory_get_usage(true) === $now; $used++) {
        $filler[$used] = str_repeat('f', FILLS_A_PAGE);
    }
    // The chunk's own header is a page, and one is taken.
    $take = CHUNK / PAGE - 2 - (int) $_GET['pages'];
    for ($end = $used + $take; $used < $end; $used++) {
        $filler[$used] = str_repeat('f', FILLS_A_PAGE);
    }
}

echo "reading\n";
$reply = match ($_GET['reply']) {
    'list', 'long list' => $redis->lrange($_GET['reply'], 0, -1),
    'hash' => $redis->hgetall('hash'),
    'nested' => $redis->eval($script, 0),
    'huge', 'vast' => $redis->get($_GET['reply']),
    'transaction' => [
        $redis->multi(), $redis->lrange('list', 0, 99), $redis->hgetall('hash'), $redis->get('token'), $redis->exec(),
    ][4],
    'pipeline', 'atomic pipeline' => array_slice($pipeline->execute(), 1),
};

ini_set('memory_limit', '-1');
if ($_GET['reply'] === 'transaction') {
    array_pop($reply); // the token changes
} elseif ($_GET['reply'] === 'hash') {
    ksort($reply);
}
echo 'whole ', sha1(serialize($reply));
