<?php

declare(strict_types=1);

/*
 * fault-proxy.php SERVER-PORT RULES: stands between a client and a real server. Prints its own port, and then a line with the
 * name of every command that it was sent. RULES is a JSON list of {"command", "fault", "times", "seconds"}: the first rule for a
 * command that has not been used up decides. With "every": N it strikes at every Nth of these commands only, with "words": LIST
 * at those of exactly these words.
 *
 *   close      the command does not reach the server, the connection is closed
 *   lose       the server executes the command, its reply is thrown away, the connection is closed
 *   swallow    as lose, but the connection stays open and silent
 *   late       the reply comes after SECONDS
 *   half       the first half of the reply, then silence
 *   half-close the first half of the reply, then the connection is closed
 *   garbage    the server executes the command, and bytes that are not RESP come back
 *   say        the server executes the command, and the rule's BYTES come back, REPEATED times
 *   record     the command does not reach the server, its words are printed as a JSON list, and an error comes back
 */

use Tests\Support\Ports;
use Tests\Support\RespFrames;

require dirname(__DIR__) . '/autoload.php';

$serverPort = (int) $argv[1];
$rules = json_decode($argv[2], true, 8, JSON_THROW_ON_ERROR);
$port = Ports::free();
$listener = stream_socket_server("tcp://127.0.0.1:$port") ?: exit("cannot listen on port $port\n");
echo "$port\n";

/** @var array<int, array{client: resource, server: resource, frames: RespFrames, silent: bool}> $pairs */
$pairs = [];
while (true) {
    $readable = [$listener, ...array_column($pairs, 'client')];
    $writable = $except = null;
    stream_select($readable, $writable, $except, null);
    foreach ($readable as $stream) {
        if ($stream === $listener) {
            $client = stream_socket_accept($listener, 0.0);
            $server = $client === false ? false : @stream_socket_client("tcp://127.0.0.1:$serverPort");
            if ($client !== false && $server !== false) {
                $pairs[(int) $client] = ['client' => $client, 'server' => $server, 'frames' => new RespFrames(), 'silent' => false];
            }
            continue;
        }
        $pair = &$pairs[(int) $stream];
        $bytes = (string) fread($stream, 65536);
        $open = $bytes !== '' || !feof($stream);
        $pair['frames']->add($bytes);
        while ($open && !$pair['silent'] && ($request = $pair['frames']->next()) !== null) {
            $words = RespFrames::words($request);
            $name = strtoupper($words[0] ?? '');
            echo "$name\n";
            $open = relay($pair, $request, takeRule($rules, $name, $words));
        }
        if (!$open) {
            fclose($pair['client']);
            fclose($pair['server']);
            unset($pairs[(int) $stream]);
        }
        unset($pair);
    }
}

/**
 * @param list<array<string, mixed>> $rules
 * @param list<string> $words
 * @return array<string, mixed>|null
 */
function takeRule(array &$rules, string $name, array $words): ?array
{
    foreach ($rules as &$rule) {
        if ($rule['command'] === $name && $rule['times'] > 0 && ($rule['words'] ?? $words) === $words) {
            $rule['passed'] = ($rule['passed'] ?? 0) + 1;
            if ($rule['passed'] % ($rule['every'] ?? 1) !== 0) {
                return null;
            }
            $rule['times']--;

            return $rule;
        }
    }

    return null;
}

/**
 * Passes one request on and its reply back, as far as the rule lets it; whether the connection stays open.
 *
 * @param array<string, mixed> $pair
 * @param array<string, mixed>|null $rule
 */
function relay(array &$pair, string $request, ?array $rule): bool
{
    $fault = $rule['fault'] ?? 'none';
    if ($fault === 'close') {
        return false;
    }
    if ($fault === 'record') {
        echo json_encode(RespFrames::words($request), JSON_THROW_ON_ERROR | JSON_UNESCAPED_SLASHES), "\n";
        @fwrite($pair['client'], "-ERR not executed\r\n");

        return true;
    }
    fwrite($pair['server'], $request);
    $frames = new RespFrames();
    while (($reply = $frames->next()) === null) {
        $bytes = fread($pair['server'], 65536);
        if ($bytes === false || $bytes === '') {
            return false;
        }
        $frames->add($bytes);
    }
    if ($fault === 'late') {
        usleep((int) ($rule['seconds'] * 1e6));
    }
    $answer = match ($fault) {
        'none', 'late' => $reply,
        'half', 'half-close' => substr($reply, 0, intdiv(strlen($reply), 2)),
        'garbage' => "this is no reply\r\n",
        'say' => str_repeat($rule['bytes'], $rule['repeated'] ?? 1),
        default => '',
    };
    // The client may have gone by now.
    @fwrite($pair['client'], $answer);
    $pair['silent'] = in_array($fault, ['swallow', 'half', 'garbage'], true);

    return !in_array($fault, ['lose', 'half-close'], true);
}
