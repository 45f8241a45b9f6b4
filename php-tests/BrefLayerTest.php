<?php

declare(strict_types=1);

namespace Tests;

use PHPUnit\Framework\TestCase;
use Tests\Support\Extension;
use Tests\Support\Process;
use Tests\Support\Scratch;

/** The check that `make bref-layer` ends with has to refuse what Lambda would not load. */
final class BrefLayerTest extends TestCase
{
    private const SCRIPTS = __DIR__ . '/../bref';
    private const INI = 'bref/etc/php/conf.d/ext-resilient_redis.ini';
    private const LIBRARY = 'bref/extensions/resilient_redis.so';

    public function test_a_layer_with_other_paths_is_refused(): void
    {
        $check = $this->check([self::INI => 'extension=resilient_redis.so', 'extensions/resilient_redis.so' => '']);
        self::assertSame(1, $check->wait(), $check->output());
        self::assertStringContainsString('it has other files: ./bref/etc/php/conf.d/ext-resilient_redis.ini ./extensions', $check->errors());
    }

    public function test_what_is_linked_against_this_systems_newer_C_library_is_refused(): void
    {
        $check = $this->check([self::INI => 'extension=resilient_redis.so', self::LIBRARY => (string) file_get_contents(Extension::path())]);
        self::assertSame(1, $check->wait(), $check->output());
        self::assertMatchesRegularExpression('/it needs GLIBC_2\.\d+, and may need GLIBC_2\.28/', $check->errors());
    }

    public function test_a_layer_without_a_library_in_it_is_refused(): void
    {
        $check = $this->check([self::INI => 'extension=resilient_redis.so', self::LIBRARY => 'no library']);
        self::assertSame(1, $check->wait(), $check->output());
        self::assertStringContainsString('no symbol of glibc could be read', $check->errors());
    }

    /** @param array<string, string> $files */
    private function check(array $files): Process
    {
        $folder = Scratch::folder('layer');
        foreach ($files as $path => $contents) {
            @mkdir(dirname("$folder/opt/$path"), 0755, true);
            file_put_contents("$folder/opt/$path", $contents);
        }
        $pack = Process::run(['python3', self::SCRIPTS . '/pack.py', "$folder/opt", "$folder/layer.zip"]);
        self::assertSame(0, $pack->wait(), $pack->errors());

        return Process::run([self::SCRIPTS . '/check-layer', '8.2', 'x86_64', "$folder/layer.zip"]);
    }
}
