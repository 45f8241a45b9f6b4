<?php

declare(strict_types=1);

namespace Tests\Failover;

use Tests\Support\Process;
use Tests\Support\Scratch;

/**
 * A network and a mount namespace of the laboratory's own. Its loopback device carries one address per node, so that the
 * packets of one node can be dropped; its resolver's configuration leads to the laboratory's own name server. Nothing of
 * it outlives the process, however that ends.
 */
final class Enclosure
{
    public const ADDRESSES = ['10.77.0.11', '10.77.0.12', '10.77.0.13'];
    public const DOMAIN = 'lab.test';

    private const MARK = 'FAILOVER_LAB_ENCLOSED';

    /**
     * The command that runs `$command` inside; null if this system lets us make no namespaces.
     *
     * @param list<string> $command
     * @return list<string>|null
     */
    public static function around(array $command): ?array
    {
        // Root makes them as it is; others as the root of a user namespace, where the system allows that.
        foreach ([['unshare', '--net', '--mount'], ['unshare', '--map-root-user', '--net', '--mount']] as $unshare) {
            $trial = new Process([...$unshare, 'ip', 'link', 'set', 'lo', 'up']);
            if ($trial->wait() === 0) {
                return ['env', self::MARK . '=1', ...$unshare, ...$command];
            }
        }

        return null;
    }

    public static function isInside(): bool
    {
        return getenv(self::MARK) === '1';
    }

    /** Gives the namespaces their addresses and their resolver. To be called once, inside. */
    public static function furnish(): void
    {
        self::must('ip', 'link', 'set', 'lo', 'up');
        foreach (self::ADDRESSES as $address) {
            self::must('ip', 'address', 'add', "$address/32", 'dev', 'lo');
        }
        $folder = Scratch::folder('resolver');
        $files = [
            '/etc/resolv.conf' => "nameserver 127.0.0.1\noptions timeout:1 attempts:2\n",
            '/etc/hosts' => "127.0.0.1 localhost\n",
            '/etc/nsswitch.conf' => "passwd: files\ngroup: files\nhosts: files dns\n",
        ];
        foreach ($files as $path => $text) {
            $own = "$folder/" . basename($path);
            file_put_contents($own, $text);
            self::must('mount', '--bind', $own, $path);
        }
    }

    /** From now on no packet gets to this address or away from it. */
    public static function cutOff(string $address): void
    {
        self::must('iptables', '-w', '-A', 'INPUT', '-d', $address, '-j', 'DROP');
        self::must('iptables', '-w', '-A', 'INPUT', '-s', $address, '-j', 'DROP');
    }

    /** Packets that say that a connection is over get away from this address no more: its peers do not hear of it. */
    public static function muffle(string $address): void
    {
        foreach (['FIN', 'RST'] as $flag) {
            self::must('iptables', '-w', '-A', 'INPUT', '-s', $address, '-p', 'tcp', '--sport', '6379', '--tcp-flags', $flag, $flag, '-j', 'DROP');
        }
    }

    public static function restore(): void
    {
        self::must('iptables', '-w', '-F', 'INPUT');
    }

    private static function must(string ...$command): void
    {
        $process = new Process(array_values($command));
        $code = $process->wait();
        if ($code !== 0) {
            throw new \RuntimeException(implode(' ', $command) . " ended with $code: " . $process->output() . $process->errors());
        }
    }
}
