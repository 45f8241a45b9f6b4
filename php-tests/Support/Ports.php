<?php

declare(strict_types=1);

namespace Tests\Support;

/**
 * Free loopback ports. They lie below the range from which the kernel takes the ports of outgoing connections: so no
 * client can sit on the port of a server that was killed, and no dial to a closed port can meet itself.
 */
final class Ports
{
    private const FIRST = 12_000;
    private const LAST = 29_000;

    /** @var array<int, true> */
    private static array $given = [];

    public static function free(): int
    {
        for ($try = 0; $try < 200; $try++) {
            $port = random_int(self::FIRST, self::LAST);
            if (isset(self::$given[$port])) {
                continue;
            }
            $socket = @stream_socket_server("tcp://127.0.0.1:$port");
            if ($socket !== false) {
                fclose($socket);
                self::$given[$port] = true;

                return $port;
            }
        }

        throw new \RuntimeException('no free port was found on 127.0.0.1');
    }
}
