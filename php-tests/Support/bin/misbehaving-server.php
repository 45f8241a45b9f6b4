<?php

declare(strict_types=1);

/*
 * misbehaving-server.php MODE: listens on a free loopback port, prints the port, then a line for every connection, and
 * treats every connection in the same bad way:
 *
 *   silent               accepts, reads, never answers
 *   close-at-once        closes after accepting
 *   close-after-request  closes when something has been read
 *   garbage              answers with bytes that are not RESP
 *   half                 answers with the first half of a reply, then is silent
 *   flood                answers with pushes that nobody asked for, without an end (but no longer than 10 seconds)
 */

use Tests\Support\Ports;

require dirname(__DIR__) . '/autoload.php';

$mode = $argv[1];
$port = Ports::free();
$listener = stream_socket_server("tcp://127.0.0.1:$port") ?: exit("cannot listen on port $port\n");
echo "$port\n";

$clients = [];
$answered = [];
while (true) {
    $readable = [$listener, ...array_values($clients)];
    $writable = $except = null;
    stream_select($readable, $writable, $except, null);
    foreach ($readable as $stream) {
        if ($stream === $listener) {
            $client = stream_socket_accept($listener, 0.0);
            if ($client === false) {
                continue;
            }
            echo "connection\n";
            if ($mode === 'close-at-once') {
                fclose($client);
            } else {
                stream_set_blocking($client, false);
                $clients[(int) $client] = $client;
            }
            continue;
        }
        $bytes = fread($stream, 65536);
        if ($mode === 'close-after-request' || (($bytes === '' || $bytes === false) && feof($stream))) {
            unset($clients[(int) $stream], $answered[(int) $stream]);
            fclose($stream);
        } elseif (!isset($answered[(int) $stream])) {
            $answered[(int) $stream] = true;
            match ($mode) {
                'garbage' => fwrite($stream, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"),
                'half' => fwrite($stream, "\$100\r\nonly the beginning"),
                'flood' => flood($stream),
                default => null,
            };
        }
    }
}

/** @param resource $stream */
function flood($stream): void
{
    stream_set_blocking($stream, true);
    $pushes = str_repeat(">1\r\n+x\r\n", 1000);
    for ($end = microtime(true) + 10; microtime(true) < $end && @fwrite($stream, $pushes) !== false;) {
        // On and on.
    }
}
