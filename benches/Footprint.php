<?php

declare(strict_types=1);

namespace Benches;

use Tests\Support\Process;
use Tests\Support\Scratch;

/** What having a client loaded costs a PHP that does not use it, beside a PHP without it. */
final class Footprint
{
    /** @return array<string, array{library: int, instructions: int, memory: int}> by client: bytes, instructions, KB */
    public static function all(): array
    {
        [$instructions, $memory] = self::of(Clients::php('predis'));
        $all = [];
        foreach (['resilient', 'phpredis'] as $client) {
            [$more, $larger] = self::of(Clients::php($client));
            $files = Clients::extensions($client);
            $all[$client] = ['library' => (int) filesize(end($files)), 'instructions' => $more - $instructions, 'memory' => $larger - $memory];
        }

        return $all;
    }

    /**
     * @param list<string> $php
     * @return array{int, int}
     */
    private static function of(array $php): array
    {
        $script = Scratch::folder('footprint') . '/resident.php';
        file_put_contents($script, '<?php preg_match("/^VmRSS:\s+(\d+)/m", file_get_contents("/proc/self/status"), $rss); echo $rss[1];');
        $sizes = array_map(static fn (): int => (int) Process::run([...$php, $script])->output(), range(1, 9));

        return [Counting::instructionsOf([...$php, $script]), (int) Speed::median($sizes)];
    }
}
